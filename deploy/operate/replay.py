"""Facts published again from a service's journal: for an EVENTS (or PEOPLE) that was lost, whole or in part.

It leads instead of the relay, so that nothing new overtakes what is old from then on (what the relay published after
the loss stands before); it publishes in the journal's order with the facts' own ids, and repeats nothing.

| what is in EVENTS                  | what follows                                                                |
|------------------------------------|-----------------------------------------------------------------------------|
| nothing: it was made anew          | everything is published, in order, once                                     |
| everything                         | it is read along with the journal, and nothing is published                 |
| holes                              | the missing facts come last; hearers keep what has the highest version      |
| killed in the middle               | run again: it goes on where it was                                          |
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import import_module
from itertools import islice
from typing import Any, NamedTuple

import asyncpg

from deploy.operate import journals
from deploy.operate.bus import OperatorBus, operator_bus
from deploy.provision.administration import Connection
from shared.contracts import Record
from shared.contracts.wire import CE_ID, STREAM_EVENTS, STREAM_PEOPLE
from shared.messaging.bus import acknowledged
from shared.relay import CurrentRecords, headers_of
from shared.settings import OperatorSettings

_BATCH = 500
# How much later than the bus's clock the database's may be: facts are looked for from that much earlier.
_SKEW = timedelta(hours=1)

Advance = Callable[[int, int], None]


@dataclass(slots=True)
class Replayed:
    """What a replay came to."""

    facts: int = 0
    facts_there: int = 0
    records: int = 0
    records_there: int = 0


class Known:
    """The ids of a service's facts in EVENTS, read only as far as the journal makes it necessary.

    Journal and stream have nearly the same order, so that few ids are remembered; a fact that is not there makes
    it read to the end, and remember what it passed.
    """

    def __init__(self, bus: OperatorBus, *, service: str, since: datetime) -> None:
        self._bus = bus
        self._which: dict[str, Any] = {"start_time": since.isoformat()}
        self._subject = f"conecta.evt.{service}.>"
        self._passed: set[str] = set()
        self._ended = False

    async def has(self, fact_id: str) -> bool:
        """Whether the fact is in the stream; asked once per fact."""
        while fact_id not in self._passed and not self._ended:
            await self._read_on()
        if fact_id not in self._passed:
            return False
        self._passed.discard(fact_id)
        return True

    async def _read_on(self) -> None:
        found = await self._bus.direct(STREAM_EVENTS, **self._which, next_by_subj=self._subject, batch=_BATCH)
        headers = [message.headers or {} for message in found]
        self._passed.update(one[CE_ID] for one in headers if CE_ID in one)
        if found:
            self._which = {"seq": int(headers[-1]["Nats-Sequence"]) + 1}
        self._ended = not found


class Item(NamedTuple):
    """A message to publish."""

    row: asyncpg.Record
    body: bytes


class Replay:
    """One service's journal, published again."""

    def __init__(self, *, service: str, connection: Connection, operator: OperatorBus, own: OperatorBus) -> None:
        self._service = service
        self._connection = connection
        self._operator = operator
        self._own = own
        self._current: CurrentRecords | None = _current(service)
        self._things: dict[str, asyncpg.Record] = {}
        self.done = Replayed()

    async def run(self, *, after: int, advance: Advance) -> Replayed:
        """Publish what is missing after a position; raises BusAway, DatabaseAway, PublishRefused, PublishUnknown."""
        total = await journals.count(self._connection, self._service, after=after)
        rows = await self._rows(after)
        known = rows and Known(self._operator, service=self._service, since=rows[0]["recorded_at"] - _SKEW)
        while rows and known:
            await self._facts([row for row in rows if row["body"] is not None], known)
            self._things.update((row["thing"], row) for row in rows if row["body"] is None)
            advance(len(rows), total)
            rows = await self._rows(rows[-1]["position"])
        await self._records()
        return self.done

    async def _rows(self, after: int) -> list[asyncpg.Record]:
        return await journals.published(self._connection, self._service, after=after, limit=_BATCH)

    async def _facts(self, rows: Sequence[asyncpg.Record], known: Known) -> None:
        missing = [row for row in rows if not await known.has(str(row["fact_id"]))]
        await self._publish([Item(row, row["body"].encode()) for row in missing])
        self.done.facts += len(missing)
        self.done.facts_there += len(rows) - len(missing)

    async def _records(self) -> None:
        """The current value of each thing once, under the id of its last row; things are few beside facts."""
        things = iter(self._things.items())
        while self._current and (some := dict(islice(things, _BATCH))):
            records = await self._current(self._connection, list(some))
            there = await asyncio.gather(*(self._is_there(record) for record in records.values()))
            missing = [thing for thing, known in zip(records, there, strict=True) if not known]
            await self._publish([Item(some[thing], records[thing].model_dump_json().encode()) for thing in missing])
            self.done.records += len(missing)
            self.done.records_there += len(records) - len(missing)

    async def _is_there(self, record: Record) -> bool:
        stored = await self._operator.message(STREAM_PEOPLE, last_by_subj=record.bus_subject())
        return stored is not None and int(json.loads(stored.data).get("version", 0)) >= record.version

    async def _publish(self, items: Sequence[Item]) -> None:
        flying = [
            await self._own.publisher.send(item.row["subject"], item.body, headers_of(self._service, item.row))
            for item in items
        ]
        for future in flying:
            await acknowledged(future, seconds=30)


async def replay(
    settings: OperatorSettings, service: str, *, start: int | datetime | None, advance: Advance
) -> Replayed:
    """Publish again what the bus lacks of a service's journal, from a position or a time on."""
    async with (
        journals.as_service(settings, service) as connection,
        operator_bus(settings) as operator,
        operator_bus(settings, user=service) as own,
    ):
        await journals.lead(settings, connection, service)
        if isinstance(start, datetime):
            start = await journals.first_position(connection, service, start)
        again = Replay(service=service, connection=connection, operator=operator, own=own)
        return await again.run(after=(start or 1) - 1, advance=advance)


def _current(service: str) -> Callable[[Any, Sequence[str]], Awaitable[Mapping[str, Record]]] | None:
    """How the service looks up its records, as its `app.py` tells the relay."""
    described: Any = import_module(f"services.{service}.app").SERVICE
    found: CurrentRecords | None = described.current
    return found
