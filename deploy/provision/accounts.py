"""NATS accounts and users with exactly the subjects that each needs, rendered from the contracts for the server.

Services share the account APP, which has JetStream; each kind of client has one of its own and imports what it may
use. Inside one account a `reply=` makes the server write where its sender may not (reliability.md, F6).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from deploy.provision.cards import Card, read_cards
from deploy.provision.secrets import Secrets
from shared.contracts import FACTS, RECORDS
from shared.contracts.wire import (
    CLIENTS,
    STREAM_COMMANDS,
    STREAM_EVENTS,
    STREAM_PARKED,
    STREAM_PEOPLE,
    STREAM_RESOLVED,
)

APP = "APP"
SYSTEM = "SYS"
_COMMANDS, _QUESTIONS = "conecta.cmd.>", "conecta.qry.>"
_ACCEPTED, _FACTS = "conecta.accepted.>", "conecta.evt.>"
# Facts from a sequence on, stateless: the only call of JetStream's API that clients have.
_GET_FACTS = f"$JS.API.DIRECT.GET.{STREAM_EVENTS}"

Block = dict[str, Any]


def render(secrets: Secrets) -> str:
    """The part of the server's configuration file that says who may what."""
    keys = secrets.public_keys
    accounts = {
        SYSTEM: {"users": [{"nkey": keys["sys"]}]},
        APP: _application(keys),
        **{client.upper(): _client(client, keys[client]) for client in CLIENTS},
    }
    # JSON is a subset of the server's configuration language.
    return f"accounts: {json.dumps(accounts, indent=2)}\nsystem_account: {SYSTEM}\n"


def _application(keys: dict[str, str]) -> Block:
    services = [{"nkey": keys[card.service], "permissions": service_permissions(card)} for card in read_cards()]
    return {
        "jetstream": "enabled",
        "users": [
            {"nkey": keys["provision"], "permissions": _provision_permissions()},
            {"nkey": keys["operator"], "permissions": _operator_permissions()},
            *services,
        ],
        "exports": _exports(),
    }


def _exports() -> list[Block]:
    everybody = [client.upper() for client in CLIENTS]
    return [
        {"service": _COMMANDS, "accounts": everybody},
        {"service": _QUESTIONS, "accounts": everybody},
        {"service": _GET_FACTS, "response": "stream", "accounts": everybody},
        {"stream": _ACCEPTED, "accounts": everybody},
        {"stream": _FACTS, "accounts": everybody},
        *({"stream": _outcomes(client), "accounts": [client.upper()]} for client in CLIENTS),
    ]


def _client(client: str, key: str) -> Block:
    services = (_COMMANDS, _QUESTIONS, _GET_FACTS)
    streams = (_ACCEPTED, _FACTS, _outcomes(client))
    return {
        "users": [{"nkey": key, "permissions": _permissions(services, (_inbox(client), *streams))}],
        "imports": [
            *({"service": {"account": APP, "subject": subject}} for subject in services),
            *({"stream": {"account": APP, "subject": subject}} for subject in streams),
        ],
    }


def service_permissions(card: Card) -> Block:
    """What one service may: its own facts, its own consumers, its own questions, and outcomes to clients."""
    service = card.service
    publish = [
        *(fact.subjects() for fact in FACTS.values() if fact.service == service),
        *dict.fromkeys(record.subjects() for record in RECORDS.values() if record.service == service),
        "conecta.outcome.>",
        f"conecta.parked.{service}",
        f"$JS.API.STREAM.INFO.{STREAM_PARKED}",
    ]
    for stream in card.filters():
        publish += [
            f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{service}",
            f"$JS.API.CONSUMER.INFO.{stream}.{service}",
            f"$JS.ACK.{stream}.{service}.>",
        ]
    # A question is answered once; the server knows to whom.
    answers = {"allow_responses": {"max": 1, "expires": "1m"}}
    return _permissions(publish, (_inbox(service), f"conecta.qry.{service}.>")) | answers


def _provision_permissions() -> Block:
    return _permissions(("$JS.API.INFO", "$JS.API.STREAM.>", "$JS.API.CONSUMER.>"), (_inbox("provision"),))


def _operator_permissions() -> Block:
    """Sees everything, changes nothing but what is parked. Only it publishes what services take as an operator's."""
    streams = (STREAM_COMMANDS, STREAM_EVENTS, STREAM_PEOPLE, STREAM_PARKED, STREAM_RESOLVED)
    publish = (
        "$JS.API.STREAM.INFO.*",
        "$JS.API.CONSUMER.INFO.*.*",
        *(f"$JS.API.STREAM.MSG.GET.{stream}" for stream in streams),
        _GET_FACTS,
        f"$JS.API.STREAM.MSG.DELETE.{STREAM_PARKED}",
        "conecta.resolved.*.*",
    )
    return _permissions(publish, (_inbox("operator"),))


def _permissions(publish: Sequence[str], subscribe: Sequence[str]) -> Block:
    return {"publish": list(publish), "subscribe": list(subscribe)}


def _outcomes(client: str) -> str:
    return f"conecta.outcome.{client}.>"


def _inbox(user: str) -> str:
    return f"_INBOX_{user}.>"
