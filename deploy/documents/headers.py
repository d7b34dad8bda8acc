"""The headers that messages travel with, as schemas: CloudEvents 1.0 in binary mode, and our own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.contracts import Command, Fact, Record
from shared.contracts.wire import (
    CE_ID,
    CE_SOURCE,
    CE_SPEC,
    CE_SUBJECT,
    CE_TIME,
    CE_TYPE,
    CLIENTS,
    HEADER_CLIENT,
    HEADER_ERROR,
    HEADER_ID,
    HEADER_INSTANCE,
    HEADER_PARKED_AT,
    HEADER_PARKED_ATTEMPTS,
    HEADER_PARKED_ID,
    HEADER_PARKED_SEQUENCE,
    HEADER_PARKED_STREAM,
    HEADER_PARKED_SUBJECT,
    HEADER_REASON,
    HEADER_WHY,
    STREAM_COMMANDS,
    TRACEPARENT,
)

Schema = dict[str, Any]

_CLIENT_NAMES = "|".join(CLIENTS)
_EXAMPLE_ID = "01979c5e-7b1a-7c3d-9f42-2f1f6f0c8a11"
_EXAMPLE_TIME = "2019-06-12T17:59:59.812345+00:00"
_TRACE = {
    TRACEPARENT: {
        "type": "string",
        "pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
        "description": "W3C trace context, if there is one",
    }
}


def command_headers(kind: type[Command]) -> Schema:
    """What a client sends a command with; the stream republishes them, so they hold nothing secret."""
    return _headers(
        {
            HEADER_ID: _id("the command's id: UUID version 7, chosen by the client, the same in every repetition"),
            HEADER_CLIENT: {"type": "string", "enum": list(CLIENTS), "description": "what kind of client it is"},
            HEADER_INSTANCE: {
                "type": "string",
                "pattern": "^[a-z0-9]{1,32}$",
                "description": "which one of its kind: outcomes go to conecta.outcome.<client>.<instance>.<id>",
            },
            **_cloud_event(kind.type, source=f"^/conecta/clients/({_CLIENT_NAMES})$"),
        }
    )


def fact_headers(kind: type[Fact | Record]) -> Schema:
    """What a service's relay publishes a fact or record with."""
    return _headers(
        {
            HEADER_ID: _id("the fact's id, the same whenever it is published again"),
            **_cloud_event(kind.type, source=f"^/conecta/{kind.service}$"),
            CE_TIME: _time("when it was written into the service's journal"),
            CE_SUBJECT: {"type": "string", "description": f"what it is about: its `{kind.about}`"},
            "content-type": {"type": "string", "const": "application/json"},
        },
        optional=_TRACE,
    )


def accepted_headers() -> Schema:
    """What the bus tells of an accepted command: the sender's headers, and these."""
    return _headers(
        {
            HEADER_ID: _id("the command's id"),
            "Nats-Stream": {"type": "string", "const": STREAM_COMMANDS},
            "Nats-Subject": {"type": "string", "description": "where the command was published"},
            "Nats-Sequence": _number("its place in the stream, for its receipt"),
            "Nats-Time-Stamp": _time("when the bus stored it: this decides what is late"),
        },
        optional={
            "Nats-Last-Sequence": _number("the command before it on the same subject"),
            "Nats-Msg-Size": _number("of its body, in bytes"),
        },
    )


def refusal_headers() -> Schema:
    """What marks a reply as a refusal."""
    return _headers({HEADER_ERROR: {"type": "string", "description": "why there is no answer, for machines"}})


def parked_headers() -> Schema:
    """What a parked message has besides its own headers."""
    return _headers(_PARKED)


def resolved_headers() -> Schema:
    """What an operator's decision about a parked message has besides that message's headers."""
    why = {"type": "string", "description": "why it was discarded, as a JSON string"}
    return _headers(_PARKED, optional={HEADER_WHY: why})


def example_headers(schema: Schema, *, subject: str = _EXAMPLE_ID) -> dict[str, str]:
    """Headers that fit a schema."""
    fixed = {
        HEADER_ID: _EXAMPLE_ID,
        CE_ID: _EXAMPLE_ID,
        CE_TIME: _EXAMPLE_TIME,
        CE_SUBJECT: subject,
        HEADER_CLIENT: CLIENTS[0],
        HEADER_INSTANCE: "1",
    }
    return {name: fixed.get(name) or _fitting(one) for name, one in schema["properties"].items() if name != TRACEPARENT}


def _fitting(schema: Schema) -> str:
    return str(schema.get("const") or schema["pattern"].strip("^$").replace(f"({_CLIENT_NAMES})", CLIENTS[0]))


def _cloud_event(kind: str, *, source: str) -> Schema:
    return {
        CE_SPEC: {"type": "string", "const": "1.0"},
        CE_ID: _id(f"the same as {HEADER_ID}"),
        CE_TYPE: {"type": "string", "const": kind},
        CE_SOURCE: {"type": "string", "pattern": source},
    }


def _headers(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    return {"type": "object", "properties": {**required, **(optional or {})}, "required": list(required)}


def _id(description: str) -> Schema:
    return {"type": "string", "format": "uuid", "description": description}


def _time(description: str) -> Schema:
    return {"type": "string", "format": "date-time", "description": description}


def _number(description: str) -> Schema:
    return {"type": "string", "pattern": "^[0-9]+$", "description": description}


_PARKED = {
    HEADER_PARKED_ID: {"type": "string", "description": f"its own {HEADER_ID}"},
    HEADER_PARKED_STREAM: {"type": "string", "description": "where it came from"},
    HEADER_PARKED_SEQUENCE: _number("its place there"),
    HEADER_PARKED_SUBJECT: {"type": "string", "description": "its own subject"},
    HEADER_PARKED_AT: _time("when the bus first stored it, which decides what is late"),
    HEADER_PARKED_ATTEMPTS: _number("how often it was tried"),
    HEADER_REASON: {"type": "string", "description": "the last failure: its kind and place, never a value"},
}
