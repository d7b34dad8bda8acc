"""What the property tests feed to contracts: bodies that fit the published schemas, and bodies that fit nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from deploy.documents.schemas import Schema, schema_of
from shared.contracts import Command, Question

# Fields whose validity a schema cannot say, with values that are valid.
_KNOWN_BY_NAME: dict[str, st.SearchStrategy[Any]] = {
    "phone": st.sampled_from(["+51974009052", "974 009 052", "(01) 618-9393", "+34 912 345 678"]),
    "email": st.from_regex(r"[a-z0-9._%+ñ-]{1,20}@[a-z0-9]{1,20}\.example\.org", fullmatch=True).filter(
        lambda text: ".." not in text
    ),
    "document": st.one_of(
        st.builds(dict, number=st.from_regex("[0-9]{1,8}", fullmatch=True)),
        st.builds(
            dict, type=st.just("dni"), number=st.from_regex("[0-9]{2}[. -]?[0-9]{3}[. -]?[0-9]{3}", fullmatch=True)
        ),
        st.builds(
            dict,
            type=st.sampled_from(["foreigner-card", "passport"]),
            number=st.from_regex("[A-Za-z0-9]{5,20}", fullmatch=True),
        ),
    ),
}
_DATES = st.dates(date(1900, 1, 1), date(2199, 12, 31))
_INSTANTS = st.datetimes(datetime(2000, 1, 2), datetime(2199, 12, 30), timezones=st.timezones())  # noqa: DTZ001
_TEXT = st.characters(exclude_characters="\0", exclude_categories=["Cs"])


def fitting(contract: type[Command | Question]) -> st.SearchStrategy[dict[str, Any]]:
    """JSON that fits the contract's published schema."""
    schema = schema_of(contract)
    return _object(schema, schema.get("$defs", {}))


def _object(schema: Schema, parts: Schema) -> st.SearchStrategy[dict[str, Any]]:
    values = {name: _named(name, field, parts) for name, field in schema.get("properties", {}).items()}
    required = set(schema.get("required", ()))
    return st.fixed_dictionaries(
        {name: value for name, value in values.items() if name in required},
        optional={name: value for name, value in values.items() if name not in required},
    )


def _named(name: str, schema: Schema, parts: Schema) -> st.SearchStrategy[Any]:
    known = _KNOWN_BY_NAME.get(name)
    if known is None:
        return _value(schema, parts)
    return st.none() | known if "anyOf" in schema else known


def _value(schema: Schema, parts: Schema) -> st.SearchStrategy[Any]:
    if "$ref" in schema:
        return _value(parts[schema["$ref"].rpartition("/")[2]], parts)
    if "anyOf" in schema:
        return st.one_of([_value(one, parts) for one in schema["anyOf"]])
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    make = {"array": _array, "object": _mapping if "properties" not in schema else _object}.get(schema["type"])
    return make(schema, parts) if make else _scalar(schema)


def _scalar(schema: Schema) -> st.SearchStrategy[Any]:
    match schema["type"]:
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(schema["minimum"], schema["maximum"])
    return _text(schema)


def _array(schema: Schema, parts: Schema) -> st.SearchStrategy[Any]:
    most = min(schema.get("maxItems", 4), 4)
    return st.lists(_value(schema["items"], parts), min_size=schema.get("minItems", 0), max_size=most)


def _mapping(schema: Schema, parts: Schema) -> st.SearchStrategy[Any]:
    keys = st.from_regex(schema["propertyNames"]["pattern"], fullmatch=True)
    values = _value(schema["additionalProperties"], parts)
    return st.dictionaries(keys, values, min_size=schema.get("minProperties", 0), max_size=4)


def _text(schema: Schema) -> st.SearchStrategy[Any]:
    match schema.get("format"):
        case "uuid":
            return st.uuids().map(str)
        case "date":
            return _DATES.map(str)
        case "date-time":
            return _INSTANTS.map(datetime.isoformat)
        case "decimal":
            return _decimals(schema)
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True)
    least, most = schema.get("minLength", 0), min(schema["maxLength"], 60)
    return st.text(_TEXT, min_size=least, max_size=most).filter(lambda text: len(text.strip()) >= least)


def _decimals(schema: Schema) -> st.SearchStrategy[Any]:
    above = Decimal(schema.get("x-exclusiveMinimum", "-Infinity"))
    below = Decimal(schema.get("x-minimum", "-Infinity"))
    most = Decimal(schema.get("x-maximum", "Infinity"))

    def is_within(text: str) -> bool:
        return above < Decimal(text) and below <= Decimal(text) <= most

    return st.from_regex(str(schema["pattern"]), fullmatch=True).filter(is_within)


# Values that have broken somebody's parser, as JSON text.
_NASTY_NUMBERS = """
    NaN Infinity -Infinity 1e400 -1e400 1e-400 0.1 -0 1560000000 -1e18 1e18 253402300800 1.7976931348623157e308
""".split()  # noqa: SIM905 — read as a table
_NASTY_TEXTS = r"""
    \u0000 a\u0000b \ud800 \udfff\ud800 \u202e08 PE\n 08\n 1e400 NaN sNaN -0 0e99999999999 8.5e2 1e99999999999999999999
    Infinity ١٢ 1_000 2019-02-30 0001-01-01 9999-12-31 10000-01-01 -0001-01-01 0001-01-01T00:00:00+23:59
    9999-12-31T23:59:59.999999-23:59 2019-06-12T13:00:00 2019-06-12T13:00:60Z 2019-06-12T13:00:00+24:00
    2019-06-12T24:00:00Z 00000000-0000-0000-0000-000000000000 not-a-uuid a@b @example.org ++51 tel:+51974009052;ext=9
    a\u0000b@example.org
""".split()  # noqa: SIM905 — read as a table
NASTY_JSON = [
    *_NASTY_NUMBERS,
    *(f'"{text}"' for text in _NASTY_TEXTS),
    *("true", "null", "[]", "{}", '""', "[null]", "[[[]]]", '["08", "08"]', '{"08":"1","08":"2"}', '{"":""}'),
    *("9" * 400, "-" + "9" * 5000, '"' + "9" * 300 + '"', '"' + "x" * 30_000 + '"'),
    *("[" * 150 + "]" * 150, '{"a":' * 150 + "1" + "}" * 150),
]
nasty_json = (
    st.sampled_from(NASTY_JSON) | st.floats().map(json.dumps) | st.integers().map(str) | st.text().map(json.dumps)
)


def spoilt(content: Any, place: str, value: str) -> str:
    """JSON of the content with another value, given as JSON text, at one place: `criteria.0.weight`."""
    content = json.loads(json.dumps(content))
    *way, last = place.split(".")
    node = content
    for step in way:
        node = node[int(step) if isinstance(node, list) else step]
    node[int(last) if isinstance(node, list) else last] = "\0here\0"
    return json.dumps(content).replace(json.dumps("\0here\0"), value)


def places(content: Any, prefix: str = "") -> Iterator[str]:
    """Every place in JSON that has a value."""
    members = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for name, value in members:
        yield f"{prefix}{name}"
        yield from places(value, f"{prefix}{name}.")


@st.composite
def mistaken(draw: st.DrawFn, contract: type[Command]) -> bytes:
    """A body that fits the schema except for some fields: another value, one too many, one missing."""
    fields = {name: json.dumps(value) for name, value in draw(fitting(contract)).items()}
    names = st.sampled_from(sorted(contract.model_fields)) | st.text(max_size=8)
    for name in draw(st.lists(names, min_size=1, max_size=4)):
        if draw(st.booleans()) and name in fields:
            del fields[name]
        else:
            fields[name] = draw(nasty_json)
    members = [f"{json.dumps(name)}:{value}" for name, value in fields.items()]
    repeated = draw(st.lists(st.sampled_from(members), max_size=1)) if members else []
    return _sent("{" + ",".join(members + repeated) + "}", draw(st.sampled_from(['"token"', "null", "7", "{}"])))


@st.composite
def broken(draw: st.DrawFn, contract: type[Command]) -> bytes:
    """A body that fitted the schema until bytes in it were lost, doubled or changed."""
    body = bytearray(_sent(json.dumps(draw(fitting(contract)), ensure_ascii=False), '"token"'))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(body)))
        body[start : start + draw(st.integers(0, 20))] = draw(st.binary(max_size=6))
    return bytes(body)


def _sent(data: str, actor: str) -> bytes:
    return f'{{"data":{data},"actor":{actor}}}'.encode("utf-8", "surrogatepass")


_leaves: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters()),
    st.binary(max_size=8),
    st.decimals(),
    st.uuids(),
    st.dates(),
    st.datetimes(timezones=st.none() | st.timezones()),
    st.times(),
    st.just(object()),
    st.just(Decimal("sNaN")),
    st.just(Decimal("1e99999")),
    st.builds(lambda: 10**5000),  # not `just`: its repr is refused
    st.just("\ud800"),
    st.just("\0"),
    st.just(datetime.min),  # noqa: DTZ901 — without a zone is what is wrong with it
    st.just(datetime.max.replace(tzinfo=UTC)),
)
_keys = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.binary(max_size=4) | st.just("\ud800")
anything = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_keys, inner, max_size=4) | st.tuples(inner),
    max_leaves=8,
)


@st.composite
def mistaken_objects(draw: st.DrawFn, contract: type[Command]) -> Any:
    """What a program might hand to a contract, rather than what comes as JSON: values of any Python type."""
    fields: dict[Any, Any] = draw(fitting(contract))
    for name in draw(st.lists(st.sampled_from(sorted(contract.model_fields)) | _keys, min_size=1, max_size=3)):
        fields[name] = draw(anything)
    return draw(st.sampled_from([fields, list(fields.items()), None]) | st.just(fields))
