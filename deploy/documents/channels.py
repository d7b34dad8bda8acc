"""The channels and operations of docs/asyncapi.json: which service receives and sends what, on which subject."""

from __future__ import annotations

from typing import Any

from deploy.documents.components import summary
from deploy.documents.definitions import Definitions
from deploy.documents.released import address
from shared.contracts import Command, Fact, Question, Record
from shared.contracts.wire import (
    CLIENTS,
    STREAM_COMMANDS,
    STREAM_EVENTS,
    STREAM_PARKED,
    STREAM_PEOPLE,
    STREAM_RESOLVED,
)
from shared.messaging.resolved import DISCARDED, REQUEUED

Schema = dict[str, Any]

_ACCEPTED, _OUTCOME, _REPLY, _ACKNOWLEDGED = "accepted", "outcome", "reply", "acknowledged"
_PARKED, _RESOLVED = "parked", "resolved"


def channels(definitions: Definitions) -> Schema:
    """Every subject that messages travel on, by an id of its own."""
    asked: list[type[Command | Question]] = [*definitions.commands.values(), *definitions.questions.values()]
    told: list[type[Fact | Record]] = [*definitions.facts.values(), *definitions.records.values()]
    return {
        **{_id(kind): _asked(kind) for kind in asked},
        **{_id(kind): _told(kind) for kind in told},
        **_beside(definitions),
    }


def operations(definitions: Definitions) -> Schema:
    """What each service does with its channels."""
    found: Schema = {}
    for service, running in definitions.services.items():
        for command in (one for one in definitions.commands.values() if one.service == service):
            found[f"{service}.carry-out.{command.name}"] = _carries_out(command)
        for question in (one for one in definitions.questions.values() if one.service == service):
            found[f"{service}.answer.{question.name}"] = _answers(question)
        told: list[type[Fact | Record]] = [*definitions.facts.values(), *definitions.records.values()]
        for kind in told:
            if kind.service == service:
                found[f"{service}.publish.{kind.name}"] = _operation("send", kind, service)
            if kind in {*running.facts, *running.records}:
                found[f"{service}.hear.{kind.name}"] = _operation("receive", kind, service)
        found |= _of_every_service(service)
    found["bus.announce-accepted"] = _on("send", _ACCEPTED, "accepted", "bus") | {
        "summary": "The stream COMMANDS tells every client which commands it has stored."
    }
    found["operator.resolve"] = _on("send", _RESOLVED, "resolved", "operator") | {
        "summary": "An operator puts a parked message back, or discards it (`conecta parked`)."
    }
    return found


def _id(kind: type[Command | Question | Fact | Record]) -> str:
    if issubclass(kind, Command):
        return f"command.{kind.service}.{kind.name}"
    if issubclass(kind, Question):
        return f"question.{kind.service}.{kind.name}"
    return f"{'fact' if issubclass(kind, Fact) else 'record'}.{kind.service}.{kind.name}"


def _asked(kind: type[Command | Question]) -> Schema:
    return {
        "address": kind.subject(),
        "title": kind.name,
        "description": _GUARANTEES[STREAM_COMMANDS if issubclass(kind, Command) else "questions"],
        "messages": _messages(kind.type),
    }


def _told(kind: type[Fact | Record]) -> Schema:
    fact = issubclass(kind, Fact)
    field = kind.within if issubclass(kind, Fact) else kind.about
    return {
        "address": address(kind.subjects(), field),
        "title": kind.name,
        "description": _GUARANTEES[STREAM_EVENTS if fact else STREAM_PEOPLE],
        "parameters": {field: {"location": f"$message.payload#/{field}", "description": f"its `{field}`"}},
        "messages": _messages(kind.type),
    }


def _beside(definitions: Definitions) -> Schema:
    answers = [f"{name}.answer" for name in definitions.questions]
    return {
        _ACCEPTED: {
            "address": "conecta.accepted.{service}.{command}",
            "description": "When and where the bus stored a command, once; a repetition is not announced again.",
            "parameters": {
                "service": {"enum": list(definitions.services), "description": "whose command it is"},
                "command": {"description": "its name, such as submit-application"},
            },
            "messages": _messages("accepted"),
        },
        _OUTCOME: {
            "address": "conecta.outcome.{client}.{instance}.{command_id}",
            "description": "Told after the commit, to whoever listens; not kept on the bus. Ask `command-outcome` "
            "for one that was missed: outcomes are kept for ever by command id.",
            "parameters": {
                "client": {"enum": list(CLIENTS), "description": "from the command's Conecta-Client"},
                "instance": {"description": "from the command's Conecta-Instance"},
                "command_id": {"location": "$message.payload#/command_id", "description": "the command's id"},
            },
            "messages": _messages("outcome.v1"),
        },
        _PARKED: {
            "address": "conecta.parked.{service}",
            "description": f"Kept in stream {STREAM_PARKED} for 90 days: messages that failed ten times.",
            "parameters": {"service": {"enum": list(definitions.services), "description": "who could not handle it"}},
            "messages": _messages("parked"),
        },
        _RESOLVED: {
            "address": "conecta.resolved.{service}.{decision}",
            "description": f"Kept in stream {STREAM_RESOLVED} for 90 days. Only operators may publish here.",
            "parameters": {
                "service": {"enum": list(definitions.services), "description": "who parked it"},
                "decision": {"enum": [REQUEUED, DISCARDED], "description": "what the operator decided"},
            },
            "messages": _messages("resolved"),
        },
        _REPLY: {
            "address": None,
            "description": "The subject that a request names for its reply, in the asker's own inbox.",
            "messages": _messages(*answers, "refusal"),
        },
        _ACKNOWLEDGED: {
            "address": None,
            "description": "The subject that a command names for JetStream's acknowledgement, in the sender's inbox.",
            "messages": _messages("acknowledgement"),
        },
    }


# What a channel of each kind promises; `x-conecta-streams` has the streams' own configuration.
_GUARANTEES = {
    STREAM_COMMANDS: "Stored in stream COMMANDS before anybody carries it out; JetStream's acknowledgement is the "
    "acceptance, and the time of storing decides what is late. Kept for 7 days; a full stream refuses new commands and "
    "drops none. Carried out once however often it is sent or delivered: outcomes are kept by command id for ever.",
    "questions": "Request and reply, nothing is stored. There is always a reply while the service runs: the answer, or "
    "a refusal (header Conecta-Error). The replicas of a service share the questions.",
    STREAM_EVENTS: "Kept in stream EVENTS, which can be rebuilt from the services' journals. Delivered at least once, "
    "in order within one thing most of the time: keep, per thing, what has the highest `version`. No personal data.",
    STREAM_PEOPLE: "Kept in stream PEOPLE: the last value per person only, which can be purged. Personal data: only "
    "services of this system may read it.",
}


def _carries_out(command: type[Command]) -> Schema:
    return _operation("receive", command, command.service) | {
        "reply": {
            "channel": {"$ref": f"#/channels/{_ACKNOWLEDGED}"},
            "messages": [_message_of(_ACKNOWLEDGED, "acknowledgement")],
        },
        "x-conecta-may": sorted(command.may),
        "x-conecta-outcome": {"$ref": f"#/channels/{_OUTCOME}"},
    }


def _answers(question: type[Question]) -> Schema:
    return _operation("receive", question, question.service) | {
        "reply": {
            "channel": {"$ref": f"#/channels/{_REPLY}"},
            "messages": [_message_of(_REPLY, f"{question.type}.answer"), _message_of(_REPLY, "refusal")],
        },
        "bindings": {"nats": {"queue": question.service, "bindingVersion": "0.1.0"}},
        "x-conecta-may": None if question.may is None else sorted(question.may),
    }


def _of_every_service(service: str) -> Schema:
    return {
        f"{service}.tell-outcome": _on("send", _OUTCOME, "outcome.v1", service)
        | {"summary": f"What became of a command, as {service} decided it."},
        f"{service}.park": _on("send", _PARKED, "parked", service)
        | {"summary": f"What {service} could not handle, for operators."},
        f"{service}.take-back": _on("receive", _RESOLVED, "resolved", service)
        | {"summary": f"What operators decided about what {service} had parked."},
    }


def _operation(action: str, kind: type[Command | Question | Fact | Record], service: str) -> Schema:
    return _on(action, _id(kind), kind.type, service) | {"summary": summary(kind)}


def _on(action: str, channel: str, message: str, service: str) -> Schema:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [_message_of(channel, message)],
        "tags": [{"name": service}],
        "x-conecta-by": service,
    }


def _messages(*names: str) -> Schema:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in names}


def _message_of(channel: str, name: str) -> Schema:
    return {"$ref": f"#/channels/{channel}/messages/{name}"}
