"""What stands in streams, schemas and mailbox, read from outside: as operator, as superuser, as files."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from deploy.embedded.mailbox.store import MailStore
from deploy.operate.bus import OperatorBus, Stored, operator_bus
from shared.contracts import FACTS, RECORDS, SERVICES
from tests.faults.ground import Ground

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Published:
    """A fact or record as its stream has it."""

    type: str
    fact_id: UUID
    source: str
    at: str
    data: bytes

    @property
    def said(self) -> Any:
        """What it says."""
        return {**FACTS, **RECORDS}[self.type].model_validate_json(self.data)


@dataclass(frozen=True, slots=True)
class Seen:
    """All of it, at a moment when nothing moves."""

    commands: list[Stored]
    events: list[Published]
    people: list[Published]
    parked: int
    outcomes: dict[str, dict[UUID, Row]]
    journals: dict[str, list[Row]]
    unpublished: int
    state: dict[str, list[Row]]
    mails: Counter[str]


# Rows that are a service's own: what an applied command has to have led to.
STATE = {
    "people": "select * from registration.people",
    "meetings": "select * from registration.meetings",
    "registrations": "select * from registration.registrations",
    "calls": "select * from aid_calls.calls",
    "applications": "select * from aid_calls.applications",
    "assignments": "select * from evaluation.assignments",
    "under_review": "select * from evaluation.under_review",
    "reviews": "select * from evaluation.reviews",
    "rankings": "select * from evaluation.rankings",
    "rates": "select * from evaluation.exchange_rates",
    "deliveries": "select * from notifications.deliveries",
}

_commands: dict[int, list[Stored]] = {}  # by ground: COMMANDS only grows


async def look(ground: Ground) -> Seen:
    """Read everything."""
    async with operator_bus(ground.operator_settings()) as bus, ground.database() as database:
        state = {name: await database.fetch(query) for name, query in STATE.items()}
        journals, outcomes = {}, {}
        for schema in SERVICES:
            journals[schema] = await database.fetch(f"select * from {schema}.journal order by position")
            rows = await database.fetch(f"select command_id, outcome from {schema}.commands")
            outcomes[schema] = {row["command_id"]: json.loads(row["outcome"]) for row in rows}
        counts = [await database.fetchval(f"select count(*) from {schema}.unpublished") for schema in SERVICES]
        info = await bus.call("STREAM.INFO.PARKED")
        return Seen(
            commands=await _stored_commands(bus, ground),
            events=await _events(bus),
            people=await _people(bus),
            parked=info["state"]["messages"],
            outcomes=outcomes,
            journals=journals,
            unpublished=sum(counts),
            state=state,
            mails=Counter(
                mail.header("Message-ID") or ""
                for mail in MailStore(ground.stack.directory / "mails").find("", limit=sys.maxsize)[1]
            ),
        )


async def _stored_commands(bus: OperatorBus, ground: Ground) -> list[Stored]:
    known = _commands.setdefault(id(ground), [])
    while message := await bus.message(
        "COMMANDS", seq=known[-1].sequence + 1 if known else 1, next_by_subj="conecta.cmd.>"
    ):
        known.append(message)
    return known


async def _events(bus: OperatorBus) -> list[Published]:
    found: list[Published] = []
    after = 0
    while batch := await bus.direct("EVENTS", seq=after + 1, batch=500, next_by_subj="conecta.evt.>"):
        after = int((batch[-1].headers or {})["Nats-Sequence"])
        found += [_published(message.headers or {}, message.data) for message in batch]
    return found


async def _people(bus: OperatorBus) -> list[Published]:
    found: list[Published] = []
    after = 0
    while message := await bus.message("PEOPLE", seq=after + 1, next_by_subj="conecta.people.*"):
        after = message.sequence
        found.append(_published(message.headers, message.data))
    return found


def _published(headers: Mapping[str, str], data: bytes) -> Published:
    service = headers["ce-source"].rpartition("/")[2]
    return Published(headers["ce-type"], UUID(headers["ce-id"]), service, headers["ce-time"], data)
