"""The components of docs/asyncapi.json: every message with its headers, payload and example, and their schemas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel

from deploy.documents import headers
from deploy.documents.definitions import Definitions
from deploy.documents.rejections import OF_ANY_COMMAND, rejections
from deploy.documents.released import messages as promised
from deploy.documents.samples import sample
from deploy.documents.schemas import Schema, schema_of
from shared.contracts import Command, Fact, Question, Record
from shared.contracts.people import Role

_TEMPLATE = "#/components/schemas/{model}"
_TOKEN = {"type": "string", "description": "JWT (EdDSA) of the person who sends it, as registration issued it"}
_EXAMPLE_TOKEN = "eyJhbGciOiJFZDI1NTE5In0.eyJzdWIiOiIuLi4ifQ.c2lnbmF0dXJl"  # noqa: S105 — nobody's


def components(definitions: Definitions, folder: Path) -> Schema:
    """Messages and schemas, by wire name."""
    commands = {name: _command(kind, definitions, folder) for name, kind in definitions.commands.items()}
    questions = {name: _question(kind, folder) for name, kind in definitions.questions.items()}
    answers = {f"{name}.answer": _answer(kind, folder) for name, kind in definitions.questions.items()}
    published: dict[str, type[Fact | Record]] = {**definitions.facts, **definitions.records}
    facts = {name: _published(kind, folder) for name, kind in published.items()}
    found = commands | questions | answers | facts | _beside(folder)
    return {"schemas": _schemas(), "messages": dict(sorted(found.items()))}


def summary(model: type[BaseModel]) -> str:
    """The first sentence of a contract's docstring."""
    return (model.__doc__ or "").strip().partition("\n\n")[0].replace("\n    ", " ")


def allowed(may: frozenset[Role] | None) -> str:
    """Who may send it, in words."""
    return "Anybody." if may is None else f"People who are {_listed(sorted(may))}."


def _listed(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _message(name: str, model: type[BaseModel], *, kind: str, **more: Any) -> Schema:
    return {
        "name": name,
        "title": model.__name__,
        "summary": summary(model),
        "contentType": "application/json",
        "tags": [{"name": kind}],
        **more,
    }


def _command(kind: type[Command], definitions: Definitions, folder: Path) -> Schema:
    schema = headers.command_headers(kind)
    codes = {*OF_ANY_COMMAND, *rejections(definitions.handler(kind))}
    return _message(
        kind.type,
        kind,
        kind="command",
        description=f"{_text(kind)}\n\nWho may: {allowed(kind.may)[:-1]}; the service may ask for more. "
        "Whatever else is sent becomes a rejected outcome that names every problem.",
        headers=schema,
        payload=_sent(kind.type, token_required=True),
        correlationId={"location": "$message.header#/Nats-Msg-Id"},
        examples=[_example(schema, {"data": sample(folder, kind.type), "actor": _EXAMPLE_TOKEN})],
        **{"x-conecta-may": sorted(kind.may), "x-conecta-rejections": sorted(codes)},
    )


def _question(kind: type[Question], folder: Path) -> Schema:
    payload = {"data": sample(folder, kind.type)} | ({} if kind.may is None else {"actor": _EXAMPLE_TOKEN})
    may = None if kind.may is None else sorted(kind.may)
    return _message(
        kind.type,
        kind,
        kind="question",
        description=f"{_text(kind)}\n\nWho may: {allowed(kind.may)}",
        payload=_sent(kind.type, token_required=kind.may is not None),
        examples=[{"payload": payload}],
        **{"x-conecta-may": may},
    )


def _answer(kind: type[Question], folder: Path) -> Schema:
    name = f"{kind.type}.answer"
    return _message(
        name,
        kind.answer,
        kind="answer",
        description=_text(kind.answer),
        payload=_reference(name),
        examples=[{"payload": sample(folder, name)}],
    )


def _published(kind: type[Fact | Record], folder: Path) -> Schema:
    schema = headers.fact_headers(kind)
    content = sample(folder, kind.type)
    return _message(
        kind.type,
        kind,
        kind="fact" if issubclass(kind, Fact) else "record",
        description=_text(kind),
        headers=schema,
        payload=_reference(kind.type),
        correlationId={"location": "$message.header#/ce-id"},
        examples=[_example(schema, content, subject=content[kind.about])],
    )


def _beside(folder: Path) -> Schema:
    """What travels beside the contracts."""
    outcome, receipt = promised()["outcome.v1"], promised()["receipt.v1"]
    return {
        "outcome.v1": _message(
            "outcome.v1",
            outcome,
            kind="outcome",
            payload=_reference("outcome.v1"),
            correlationId={"location": "$message.payload#/command_id"},
            examples=[{"payload": sample(folder, "outcome.v1")}],
        ),
        "receipt.v1": _message(
            "receipt.v1",
            receipt,
            kind="receipt",
            description="Made by the client from the acknowledgement and the stored time, and signed with Ed25519 as a "
            "compact JWS (`typ`: conecta-receipt+jws). It does not travel on the bus: whoever sent the command keeps "
            "it, and anybody can check it offline with the published keys (`conecta receipt verify`).",
            payload=_reference("receipt.v1"),
            examples=[{"payload": sample(folder, "receipt.v1")}],
        ),
        "refusal": {
            "name": "refusal",
            "title": "Refusal",
            "summary": "A question has no answer: why, in the header; what is wrong with it, if it could not be read.",
            "contentType": "application/json",
            "tags": [{"name": "answer"}],
            "headers": headers.refusal_headers(),
            "payload": {"type": "array", "items": {"$ref": "#/components/schemas/Problem"}},
        },
        "acknowledgement": {
            "name": "acknowledgement",
            "title": "Acknowledgement",
            "summary": "JetStream has stored the command, or had it already; or it has not, with an error.",
            "contentType": "application/json",
            "tags": [{"name": "command"}],
            "payload": {"$ref": "#/components/schemas/Acknowledgement"},
            "examples": [{"payload": {"stream": "COMMANDS", "seq": 48213}}],
        },
        "accepted": {
            "name": "accepted",
            "title": "Accepted",
            "summary": "A command was stored: its headers, its place and its time, without its body.",
            "tags": [{"name": "command"}],
            "headers": headers.accepted_headers(),
            "correlationId": {"location": "$message.header#/Nats-Msg-Id"},
        },
        "parked": {
            "name": "parked",
            "title": "Parked",
            "summary": "A message whose handling failed for good, as it came; operators put it back, or discard it.",
            "tags": [{"name": "operations"}],
            "headers": headers.parked_headers(),
        },
        "resolved": {
            "name": "resolved",
            "title": "Resolved",
            "summary": "A parked message that an operator puts back, or discards, with why.",
            "tags": [{"name": "operations"}],
            "headers": headers.resolved_headers(),
        },
    }


def _schemas() -> Schema:
    found: Schema = {"Acknowledgement": _ACKNOWLEDGEMENT}
    for name, model in promised().items():
        schema = _in_draft_7(schema_of(model, template=_TEMPLATE))
        parts = schema.pop("$defs", {}) | {name: schema}
        for part, content in parts.items():
            if found.setdefault(part, content) != content:
                raise ValueError(f"two models inside contracts are called {part}")
    return dict(sorted(found.items()))


_ACKNOWLEDGEMENT = {
    "type": "object",
    "description": "JetStream's own: either `stream` and `seq`, or `error`.",
    "properties": {
        "stream": {"type": "string"},
        "seq": {"type": "integer", "minimum": 0},
        "duplicate": {"type": "boolean", "description": "it was stored before, under this sequence"},
        "error": {
            "type": "object",
            "properties": {
                "code": {"type": "integer"},
                "err_code": {"type": "integer", "description": "10047, 10077, 10122, 10023: full, try again later"},
                "description": {"type": "string"},
            },
        },
    },
}


def _in_draft_7(node: Any) -> Any:
    """Keywords beside a reference do not count in draft 7: the reference moves into an `allOf`."""
    if isinstance(node, list):
        return [_in_draft_7(one) for one in node]
    if not isinstance(node, dict):
        return node
    node = {key: _in_draft_7(value) for key, value in node.items()}
    if "$ref" in node and len(node) > 1:
        node = {"allOf": [{"$ref": node.pop("$ref")}], **node}
    return node


def _sent(name: str, *, token_required: bool) -> Schema:
    """The body of a command or question."""
    return {
        "type": "object",
        "properties": {"data": _reference(name), "actor": _TOKEN},
        "required": ["data", "actor"] if token_required else ["data"],
    }


def _reference(name: str) -> Schema:
    return {"$ref": _TEMPLATE.format(model=name)}


def _example(schema: Schema, payload: Any, **more: str) -> Schema:
    return {"headers": headers.example_headers(schema, **more), "payload": payload}


def _text(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split())
