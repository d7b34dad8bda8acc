"""JSON Schemas of contracts, as the wire has them: decimals are text, titles that only repeat names are left out."""

from __future__ import annotations

from copy import deepcopy
from decimal import Decimal
from functools import cache
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from shared.contracts import Command, Question

Schema = dict[str, Any]

_BOUNDS = {"ge": "x-minimum", "gt": "x-exclusiveMinimum", "le": "x-maximum", "lt": "x-exclusiveMaximum"}


class _WireSchema(GenerateJsonSchema):
    """What should be sent; what is tolerated besides (a whole number as an amount) is not promised."""

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        """Text with a pattern; the bounds, which a pattern cannot say, as extensions."""
        bounds: dict[str, Any] = {name: schema[name] for name in _BOUNDS if name in schema}  # type: ignore[literal-required]
        return {
            "type": "string",
            "format": "decimal",
            "pattern": _pattern(schema, signed=Decimal(bounds.get("ge", bounds.get("gt", -1))) < 0),
            **{_BOUNDS[name]: str(value) for name, value in bounds.items()},
        }


def _pattern(schema: core_schema.DecimalSchema, *, signed: bool) -> str:
    places = schema.get("decimal_places")
    whole = schema["max_digits"] - (places or 0) if "max_digits" in schema else None
    digits = f"[0-9]{{1,{whole}}}" if whole else "[0-9]+"
    fraction = rf"(\.[0-9]{{1,{places}}})?" if places else r"(\.[0-9]+)?"
    return f"^{'-?' if signed else ''}{digits}{fraction}$"


def mode_of(model: type[BaseModel]) -> Literal["validation", "serialization"]:
    """Commands and questions are documented as they are read, everything else as it is written."""
    return "validation" if issubclass(model, Command | Question) else "serialization"


def schema_of(model: type[BaseModel], *, template: str = "#/$defs/{model}") -> Schema:
    """The schema of a model, with the models inside it under `$defs` and references to them by the template."""
    return deepcopy(_schema(model, template))


@cache
def _schema(model: type[BaseModel], template: str) -> Schema:
    schema = model.model_json_schema(
        ref_template=template, schema_generator=_WireSchema, mode=mode_of(model), by_alias=True
    )
    untitled: Schema = _with_key_patterns(without(schema, {"title"}))
    return untitled


def _with_key_patterns(node: Any) -> Any:
    """The pattern of a mapping's keys as `propertyNames`, which refuses other keys, as our models do."""
    if isinstance(node, list):
        return [_with_key_patterns(one) for one in node]
    if not isinstance(node, dict):
        return node
    node = {key: _with_key_patterns(value) for key, value in node.items()}
    patterns = node.pop("patternProperties", None)
    if patterns is None:
        return node
    ((pattern, values),) = patterns.items()
    return node | {"additionalProperties": values, "propertyNames": {"type": "string", "pattern": pattern}}


def without(node: Any, keys: set[str]) -> Any:
    """A schema without these keywords; properties that have such a name stay."""
    if isinstance(node, list):
        return [without(one, keys) for one in node]
    if not isinstance(node, dict):
        return node
    return {
        key: {name: without(one, keys) for name, one in value.items()}
        if key in {"properties", "$defs"}
        else without(value, keys)
        for key, value in node.items()
        if key not in keys
    }
