"""The fields of a message as rows of a table for people, from its JSON Schema."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel, TypeAdapter

from deploy.documents.schemas import Schema, schema_of
from shared.contracts.people import RegionCode

_FORMATS = {"uuid": "UUID", "date-time": "instant", "date": "date", "email": "e-mail address"}

_REGION = TypeAdapter(RegionCode).json_schema()["pattern"]


def code_lists(models: Iterable[type[BaseModel]]) -> Iterator[str]:
    """A table of the named lists of codes that messages use."""
    found = {name: part for model in models for name, part in schema_of(model).get("$defs", {}).items()}
    yield "| list | codes | what |"
    yield "|---|---|---|"
    for name, part in sorted(found.items()):
        if "enum" in part:
            yield f"| {name} | {_all(part['enum'])} | {_line(part.get('description', ''))} |"


def table(model: type[BaseModel]) -> Iterator[str]:
    """A table of a model's fields, then one of each model inside it."""
    schema = schema_of(model)
    parts: Schema = schema.pop("$defs", {})
    if not schema.get("properties"):
        yield "No fields."
        return
    yield from _rows(schema, parts)
    for name, part in parts.items():
        if "properties" in part:
            about = f": {_line(part['description'])}" if "description" in part else ""
            yield from ("", f"*{name}*{about}", "", *_rows(part, parts))


def _rows(schema: Schema, parts: Schema) -> Iterator[str]:
    yield "| field | type | what |"
    yield "|---|---|---|"
    required = set(schema.get("required", ()))
    for name, field in schema["properties"].items():
        what = [_line(field.get("description", "")).rstrip(".")]
        if name not in required:
            what.append(_default(field))
        yield f"| `{name}` | {_type(field, parts)} | {'; '.join(part for part in what if part)} |"


def _default(field: Schema) -> str:
    if "default" not in field:
        return "may be missing"
    match field["default"]:
        case None:
            return "default none"
        case bool(value):
            return f"default {'yes' if value else 'no'}"
        case "" | [] | {}:
            return "default empty"
        case list(values):
            return f"default {_all(values)}"
        case value:
            return f"default `{value}`"


def _all(values: list[Any]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _type(field: Schema, parts: Schema) -> str:
    """The type of a value in a few words, with its limits."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#code-lists)" if "enum" in parts[name] else f"*{name}*"
    if "anyOf" in field:
        ways = [_type(one, parts) for one in field["anyOf"] if one.get("type") != "null"]
        return " or ".join([*ways, "null"] if len(ways) < len(field["anyOf"]) else ways)
    if "allOf" in field:
        return _type(field["allOf"][0], parts)
    if "enum" in field or "const" in field:
        return _all(field.get("enum") or [field["const"]])
    return _plain_type(field, parts)


def _plain_type(field: Schema, parts: Schema) -> str:
    match field.get("type"):
        case "array":
            kind = "set" if field.get("uniqueItems") else "list"
            return f"{kind} of {_type(field['items'], parts)}{_between(field, 'minItems', 'maxItems')}"
        case "object":
            keys = field.get("propertyNames", {})
            values = _type(field.get("additionalProperties", {}), parts)
            return f"map of {_type(keys | {'type': 'string'}, parts)} to {values}"
        case "integer":
            unit = f" of {field['x-unit']}" if "x-unit" in field else ""
            return f"whole number{unit}{_between(field, 'minimum', 'maximum')}"
        case "boolean":
            return "yes or no"
        case "string":
            return _text(field)
    return "any"


def _text(field: Schema) -> str:
    kind = field.get("format")
    if kind == "decimal":
        places = re.search(r"\{1,(\d+)\}\)\?\$$", field["pattern"])
        return f"{field.get('x-unit', 'decimal')}{f', {places[1]} places' if places else ''}{_bounds(field)}"
    if kind in _FORMATS:
        return _FORMATS[kind]
    if field.get("pattern") == _REGION:
        return "region"
    if "pattern" in field:
        return f"text `{field['pattern'].replace('|', chr(92) + '|')}`"
    return f"text{_between(field, 'minLength', 'maxLength')}"


def _bounds(field: Schema) -> str:
    signs = {"x-minimum": "≥", "x-exclusiveMinimum": ">", "x-maximum": "≤", "x-exclusiveMaximum": "<"}
    bounds = [f"{sign} {field[key]}" for key, sign in signs.items() if key in field]
    return f", {', '.join(bounds)}" if bounds else ""


def _between(field: Schema, least: str, most: str) -> str:
    low, high = field.get(least, field.get("exclusiveMinimum")), field.get(most)
    if "exclusiveMinimum" in field:
        return f", > {low}" if high is None else f", > {low}, ≤ {high}"
    if low is None and high is None:
        return ""
    return f", {low or 0}–{high}" if high is not None else f", ≥ {low}"


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
