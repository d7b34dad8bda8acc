"""Parked messages: list them, look at one, put them back, discard them.

Whatever is decided is first stored in RESOLVED, where the one service that parked the message hears it, and only then
removed from PARKED: a tool that dies in between repeats the decision, which changes nothing (decision record 0020).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from deploy.operate.bus import Missing, OperatorBus, Stored
from shared.contracts.wire import (
    HEADER_ID,
    HEADER_PARKED_AT,
    HEADER_PARKED_ATTEMPTS,
    HEADER_PARKED_ID,
    HEADER_PARKED_SEQUENCE,
    HEADER_PARKED_STREAM,
    HEADER_PARKED_SUBJECT,
    HEADER_REASON,
    HEADER_WHY,
    STREAM_PARKED,
    STREAM_RESOLVED,
)
from shared.messaging.bus import PublishRefused, PublishUnknown
from shared.messaging.resolved import DISCARDED, REQUEUED

_ALL = "conecta.parked.>"


class NotParked(Exception):  # noqa: N818 — the operator's word
    """There is no such parked message."""


class NotResolved(Exception):  # noqa: N818
    """The decision is not stored; the message is still parked. The text says why."""


@dataclass(frozen=True, slots=True)
class Parked:
    """A parked message: its place in PARKED, who parked it, what it was, when, why, after how many attempts."""

    sequence: int
    consumer: str
    stream: str
    subject: str
    id: str
    stored_at: datetime | None
    parked_at: datetime
    reason: str
    attempts: int | None
    headers: Mapping[str, str]
    payload: bytes

    def as_json(self, *, payload: bool = False) -> dict[str, Any]:
        """For machines; the payload only when asked for, since it may be personal."""
        told = {
            "sequence": self.sequence,
            "consumer": self.consumer,
            "stream": self.stream,
            "subject": self.subject,
            "id": self.id,
            "stored_at": self.stored_at and self.stored_at.isoformat(),
            "parked_at": self.parked_at.isoformat(),
            "reason": self.reason,
            "attempts": self.attempts,
            "headers": dict(self.headers),
            "payload_bytes": len(self.payload),
        }
        return told | ({"payload": self.payload.decode(errors="replace")} if payload else {})


async def parked(bus: OperatorBus, *, consumer: str | None = None) -> AsyncIterator[Parked]:
    """Everything that is parked, oldest first, of one service or of all."""
    subject = f"conecta.parked.{consumer}" if consumer else _ALL
    after = 0
    while stored := await bus.message(STREAM_PARKED, seq=after + 1, next_by_subj=subject):
        after = stored.sequence
        yield _read(stored)


async def parked_message(bus: OperatorBus, sequence: int) -> Parked:
    """One of them; raises NotParked."""
    stored = await bus.message(STREAM_PARKED, seq=sequence)
    if stored is None:
        raise NotParked(str(sequence))
    return _read(stored)


async def requeue(bus: OperatorBus, message: Parked) -> None:
    """Have its service handle it again, and it alone, with its first stored time; raises NotResolved."""
    await _resolve(bus, message, how=REQUEUED, added=await _stored_at(bus, message))


async def discard(bus: OperatorBus, message: Parked, *, why: str) -> None:
    """Give it up: a command's sender learns it as its outcome; RESOLVED keeps what it was and why, 90 days."""
    added = {HEADER_WHY: json.dumps(why), **await _stored_at(bus, message)}
    await _resolve(bus, message, how=DISCARDED, added=added)


async def _resolve(bus: OperatorBus, message: Parked, *, how: str, added: Mapping[str, str]) -> None:
    headers = {**message.headers, **added, HEADER_ID: f"{how}-{message.sequence}-{int(message.parked_at.timestamp())}"}
    headers["Nats-Expected-Stream"] = STREAM_RESOLVED
    try:
        await bus.publisher.publish(f"conecta.resolved.{message.consumer}.{how}", message.payload, headers)
    except (PublishRefused, PublishUnknown) as error:
        raise NotResolved(str(error)) from error
    try:
        await bus.call(f"STREAM.MSG.DELETE.{STREAM_PARKED}", {"seq": message.sequence, "no_erase": False})
    except Missing:
        return  # another operator's tool was as fast, and its decision was the same message in RESOLVED


async def _stored_at(bus: OperatorBus, message: Parked) -> dict[str, str]:
    """What was parked before that header was written still stands in its own stream."""
    if message.stored_at is not None:
        return {}
    sequence = message.headers.get(HEADER_PARKED_SEQUENCE, "")
    found = await bus.message(message.stream, seq=int(sequence)) if sequence.isdecimal() and message.stream else None
    if found is None or found.subject != message.subject:
        raise NotResolved("it is not known when the bus first stored it, and its stream has it no more")
    return {HEADER_PARKED_AT: found.stored_at.isoformat()}


def _read(stored: Stored) -> Parked:
    told = stored.headers
    at, attempts = told.get(HEADER_PARKED_AT), told.get(HEADER_PARKED_ATTEMPTS, "")
    return Parked(
        sequence=stored.sequence,
        consumer=stored.subject.rpartition(".")[2],
        stream=told.get(HEADER_PARKED_STREAM, ""),
        subject=told.get(HEADER_PARKED_SUBJECT, ""),
        id=told.get(HEADER_PARKED_ID, ""),
        stored_at=datetime.fromisoformat(at) if at else None,
        parked_at=stored.stored_at,
        reason=told.get(HEADER_REASON, ""),
        attempts=int(attempts) if attempts.isdecimal() else None,
        headers={name: value for name, value in told.items() if not name.lower().startswith("nats-")},
        payload=stored.data,
    )
