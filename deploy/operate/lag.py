"""How far behind everything is: streams, consumers, journals, mails. Looks and changes nothing.

A part that gives no answer is named in `away`; the rest is told all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from deploy.operate import journals
from deploy.operate.bus import BusAway, Missing, OperatorBus, operator_bus
from deploy.operate.journals import DatabaseAway, Waiting
from deploy.provision.cards import read_cards
from shared.contracts import SERVICES
from shared.contracts.wire import (
    STREAM_COMMANDS,
    STREAM_EVENTS,
    STREAM_PARKED,
    STREAM_PEOPLE,
    STREAM_RESOLVED,
)
from shared.settings import OperatorSettings

STREAMS = (STREAM_COMMANDS, STREAM_EVENTS, STREAM_PEOPLE, STREAM_PARKED, STREAM_RESOLVED)


@dataclass(frozen=True, slots=True)
class StreamLag:
    """What a stream holds; `max_bytes` is -1 where only the disk is the limit."""

    stream: str
    messages: int
    bytes: int
    max_bytes: int
    first: int
    last: int

    @property
    def full(self) -> float | None:
        """The share of its room that is taken."""
        return self.bytes / self.max_bytes if self.max_bytes > 0 else None


@dataclass(frozen=True, slots=True)
class ConsumerLag:
    """How far a service is behind a stream; the oldest is the first message that is not settled."""

    stream: str
    consumer: str
    pending: int
    unacknowledged: int
    redelivered: int
    waiting_pulls: int
    oldest_seconds: float | None


@dataclass(frozen=True, slots=True)
class WaitingLag:
    """Facts of a journal that are not on the bus, or mails that are not sent."""

    what: str
    number: int
    oldest_seconds: float | None


@dataclass(slots=True)
class Lag:
    """How far behind everything is, as far as it could be found out."""

    streams: list[StreamLag] = field(default_factory=list)
    consumers: list[ConsumerLag] = field(default_factory=list)
    journals: list[WaitingLag] = field(default_factory=list)
    mails: WaitingLag | None = None
    away: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For machines; ages in seconds."""
        return asdict(self)


async def measure(settings: OperatorSettings) -> Lag:
    """Ask the bus and the database, both at once."""
    lag = Lag()
    await asyncio.gather(_measure_bus(settings, lag), *(_measure_schema(settings, one, lag) for one in SERVICES))
    lag.journals.sort(key=lambda one: SERVICES.index(one.what))
    return lag


async def _measure_bus(settings: OperatorSettings, lag: Lag) -> None:
    try:
        async with operator_bus(settings) as bus:
            for name in STREAMS:
                await _measure_stream(bus, name, lag)
            for card in read_cards():
                for stream, filters in card.filters().items():
                    await _measure_consumer(bus, stream, card.service, filters, lag)
    except BusAway as error:
        lag.away["bus"] = str(error)


async def _measure_stream(bus: OperatorBus, name: str, lag: Lag) -> None:
    try:
        info = await bus.call(f"STREAM.INFO.{name}")
    except Missing:
        lag.away[f"stream {name}"] = "missing"
        return
    state = info["state"]
    lag.streams.append(
        StreamLag(
            stream=name,
            messages=state["messages"],
            bytes=state["bytes"],
            max_bytes=info["config"]["max_bytes"],
            first=state["first_seq"],
            last=state["last_seq"],
        )
    )


async def _measure_consumer(bus: OperatorBus, stream: str, name: str, filters: Iterable[str], lag: Lag) -> None:
    try:
        info = await bus.call(f"CONSUMER.INFO.{stream}.{name}")
    except Missing:
        lag.away[f"consumer {stream}.{name}"] = "missing"
        return
    oldest: datetime | None = None
    if info["num_pending"] or info["num_ack_pending"]:
        oldest = await _oldest(bus, stream, filters, after=info["ack_floor"]["stream_seq"])
    lag.consumers.append(
        ConsumerLag(
            stream=stream,
            consumer=name,
            pending=info["num_pending"],
            unacknowledged=info["num_ack_pending"],
            redelivered=info["num_redelivered"],
            waiting_pulls=info["num_waiting"],
            oldest_seconds=_age(oldest),
        )
    )


async def _oldest(bus: OperatorBus, stream: str, filters: Iterable[str], *, after: int) -> datetime | None:
    found = [await bus.message(stream, seq=after + 1, next_by_subj=subject) for subject in filters]
    return min((message.stored_at for message in found if message), default=None)


async def _measure_schema(settings: OperatorSettings, service: str, lag: Lag) -> None:
    try:
        async with journals.as_service(settings, service) as connection:
            lag.journals.append(_waiting(service, await journals.unpublished(connection, service)))
            if service == "notifications":
                lag.mails = _waiting("mails", await journals.mails_waiting(connection))
    except DatabaseAway as error:
        lag.away[f"schema {service}"] = str(error)


def _waiting(what: str, waiting: Waiting) -> WaitingLag:
    return WaitingLag(what, waiting.number, _age(waiting.oldest))


def _age(moment: datetime | None) -> float | None:
    return None if moment is None else round(max(0.0, (datetime.now(UTC) - moment).total_seconds()), 1)
