"""Whether a message's schema of today still means what a released one means.

A reader accepts a writer if whatever the writer may send, the reader can read. Released versions must go on being
accepted by today's readers; of what we publish, today's versions must also be accepted by released readers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

Schema = dict[str, Any]

# Keywords that narrow: the reader's bound must be no tighter than the writer's.
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "x-minimum", "x-exclusiveMinimum")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "x-maximum", "x-exclusiveMaximum")
_SAME = ("pattern", "format", "uniqueItems", "x-unit")


def complaints(released: Schema, today: Schema, *, published: bool) -> list[str]:
    """Why today's schema is not the released one grown by optional fields; empty if it is.

    `published`: a fact, record or answer, which others read; otherwise a command or question, which others send.
    """
    writer, reader = _Side(released, released), _Side(today, today)
    found = [*_kept(writer, reader, ""), *_accepts(reader, writer, "")]
    if published:
        found += [f"{one} (for who reads the released version)" for one in _accepts(writer, reader, "")]
    return list(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class _Side:
    """A place in a schema, with the whole that its references are about."""

    root: Schema
    node: Schema

    def at(self, node: Schema) -> _Side:
        """Another place, with references followed and single `allOf` unwrapped."""
        while "$ref" in node or len(node.get("allOf", ())) == 1:
            node = self.root["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node["allOf"][0]
        return _Side(self.root, node)

    def fields(self) -> dict[str, Schema]:
        """The properties of an object."""
        found: dict[str, Schema] = self.node.get("properties", {})
        return found

    def ways(self) -> list[_Side]:
        """The alternatives that a value may take; itself if there are none."""
        return [self.at(one) for one in self.node.get("anyOf", [self.node])]


def _kept(released: _Side, today: _Side, path: str) -> Iterator[str]:
    """Fields and defaults that were there must be there: nobody may miss what a version promised."""
    for way in released.ways():
        for now in today.ways():
            if way.node.get("type") == now.node.get("type"):
                yield from _kept_one(way, now, path)


def _kept_one(released: _Side, today: _Side, path: str) -> Iterator[str]:
    for name, field in released.fields().items():
        now = today.fields().get(name)
        if now is None:
            yield f"{path}{name}: removed or renamed"
            continue
        optional = "default" in field and name not in today.node.get("required", ())
        if optional and field["default"] != now.get("default"):
            yield f"{path}{name}: another default ({field.get('default')} → {now.get('default')})"
        yield from _kept(released.at(field), today.at(now), f"{path}{name}.")
    for key in ("items", "additionalProperties"):
        if isinstance(released.node.get(key), dict) and isinstance(today.node.get(key), dict):
            yield from _kept(released.at(released.node[key]), today.at(today.node[key]), f"{path}*.")


def _accepts(reader: _Side, writer: _Side, path: str) -> Iterator[str]:
    """Why what the writer sends is not always read; nothing if it is."""
    readers = reader.ways()
    for way in writer.ways():
        alike = [one for one in readers if one.node.get("type") == way.node.get("type")] or readers
        refusals = [list(_accepts_one(one, way, path)) for one in alike]
        if all(refusals):
            yield from min(refusals, key=len)


def _accepts_one(reader: _Side, writer: _Side, path: str) -> Iterator[str]:
    name = path.rstrip(".") or "the message"
    if reader.node.get("type") not in {None, writer.node.get("type")}:
        yield f"{name}: {writer.node.get('type')} is not read any more, only {reader.node['type']}"
        return
    yield from _accepts_value(reader.node, writer.node, name)
    for key in ("items", "propertyNames"):
        if key in reader.node:
            yield from _accepts(reader.at(reader.node[key]), writer.at(writer.node.get(key, {})), f"{path}*.")
    yield from _accepts_fields(reader, writer, path)


def _accepts_value(reader: Schema, writer: Schema, name: str) -> Iterator[str]:
    values = _values(writer)
    if (known := _values(reader)) is not None and (values is None or not known >= values):
        gone = sorted(values - known) if values is not None else "anything else"
        yield f"{name}: {gone} is not one of the values"
    for key in _SAME:
        if key in reader and reader[key] != writer.get(key):
            yield f"{name}: another {key} ({writer.get(key)} → {reader[key]})"
    for key in _LOWER:
        if key in reader and (key not in writer or Decimal(str(reader[key])) > Decimal(str(writer[key]))):
            yield f"{name}: narrower {key} ({writer.get(key)} → {reader[key]})"
    for key in _UPPER:
        if key in reader and (key not in writer or Decimal(str(reader[key])) < Decimal(str(writer[key]))):
            yield f"{name}: narrower {key} ({writer.get(key)} → {reader[key]})"


def _accepts_fields(reader: _Side, writer: _Side, path: str) -> Iterator[str]:
    theirs = writer.fields()
    for name in sorted(set(reader.node.get("required", ())) - set(writer.node.get("required", ()))):
        yield f"{path}{name}: required, and not always sent"
    for name, field in theirs.items():
        if name in reader.fields():
            yield from _accepts(reader.at(reader.fields()[name]), writer.at(field), f"{path}{name}.")
        elif reader.node.get("additionalProperties") is False:
            yield f"{path}{name}: unknown fields are refused"
    more, sent = reader.node.get("additionalProperties"), writer.node.get("additionalProperties")
    if isinstance(more, dict):
        yield from _accepts(reader.at(more), writer.at(sent if isinstance(sent, dict) else {}), f"{path}*.")
    elif more is False and "properties" not in writer.node:
        yield f"{path}*: unknown fields are refused"


def _values(schema: Schema) -> set[str] | None:
    if "const" in schema:
        return {str(schema["const"])}
    return {str(one) for one in schema["enum"]} if "enum" in schema else None
