"""The loop that publishes a journal: one leader per schema, positions in order, many in flight.

A position leaves `unpublished` only after JetStream's acknowledgement, so a relay that dies between the two
publishes again what JetStream then recognises by its id (the fact's own). Never a cursor: positions are handed
out before commit, and `position > last` would skip one that commits late.

| what happens                                  | what follows                                                |
|-----------------------------------------------|-------------------------------------------------------------|
| the leader dies                               | its session ends, the advisory lock is free, another leads  |
| bus away, stream full                         | nothing is removed; tried again, the facts wait             |
| two transactions commit in reverse order      | the late position is published when it is seen: late, not lost |
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC

import asyncpg

from shared.contracts import Record
from shared.contracts.wire import CE_ID, CE_SOURCE, CE_SPEC, CE_SUBJECT, CE_TIME, CE_TYPE, HEADER_ID
from shared.db import Database, is_outage
from shared.log import logger
from shared.messaging import metrics
from shared.messaging.bus import Ack, Publisher, PublishRefused, PublishUnknown, all_acknowledged
from shared.messaging.consumer import described

log = logger(__name__)

_BATCH = 500
_POLL = 1.0
_PATIENCE = 10.0  # seconds for a whole batch to be acknowledged

CurrentRecords = Callable[[asyncpg.Connection, Sequence[str]], Awaitable[Mapping[str, Record]]]


class Relay:
    """Publishes one schema's journal while it leads. `current` looks up records, whose content is not in it."""

    def __init__(
        self, *, schema: str, database: Database, publisher: Publisher, current: CurrentRecords | None = None
    ) -> None:
        self._schema = schema
        self._database = database
        self._publisher = publisher
        self._current = current
        self._wake = asyncio.Event()
        self._stopping = False
        self.outage: str | None = None
        # The oldest facts not yet published, in order.
        self._next = f"""
            select position, fact_id, type, subject, thing, body, traceparent, recorded_at
              from {schema}.unpublished join {schema}.journal using (position)
             order by position limit {_BATCH}
            """  # noqa: S608 — the schema is one of four literals
        # Forget positions that JetStream has acknowledged.
        self._published = f"delete from {schema}.unpublished where position = any($1::bigint[])"  # noqa: S608
        # Lead, if nobody else does: the lock is held as long as this session lives.
        self._lead = f"select pg_try_advisory_lock(hashtext('conecta-relay-{schema}'))"

    def stop(self) -> None:
        """End after the batch in flight."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Lead whenever possible, until stopped."""
        while not self._stopping:
            try:
                await self._session()
                self.outage = None
            except Exception as error:
                if not is_outage(error) and not isinstance(error, PublishRefused | PublishUnknown):
                    raise
                self.outage = described(error)
                log.warning("relay-interrupted", error=self.outage)
                await self._pause(_POLL)

    async def _session(self) -> None:
        connection = await self._database.dedicated()
        try:
            await connection.add_listener(f"{self._schema}_journal", lambda *_: self._wake.set())
            while not self._stopping and not await connection.fetchval(self._lead):
                await self._pause(_POLL)
            metrics.RELAY_LEADER.labels(self._schema).set(1)
            while not self._stopping:
                self._wake.clear()
                if await self._publish_some(connection) < _BATCH:
                    self.outage = None
                    await self._pause(_POLL)
        finally:
            metrics.RELAY_LEADER.labels(self._schema).set(0)
            await _close(connection)

    async def _publish_some(self, connection: asyncpg.Connection) -> int:
        rows = await connection.fetch(self._next)
        if not rows:
            return 0
        bodies = await self._bodies(connection, rows)
        flying: list[asyncio.Future[Ack]] = []
        trouble: PublishRefused | PublishUnknown | None = None
        try:
            for row, body in zip(rows, bodies, strict=True):
                flying.append(await self._publisher.send(row["subject"], body, headers_of(self._schema, row)))
        except (PublishRefused, PublishUnknown) as error:
            trouble = error
        acks = await all_acknowledged(flying, seconds=_PATIENCE)
        stored = [row["position"] for row, ack in zip(rows, acks, strict=False) if isinstance(ack, Ack)]
        await self._forget(connection, stored)
        trouble = next((ack for ack in acks if not isinstance(ack, Ack)), trouble)
        if trouble is not None:
            raise trouble
        return len(rows)

    async def _forget(self, connection: asyncpg.Connection, positions: Sequence[int]) -> None:
        await connection.execute(self._published, positions)
        metrics.PUBLISHED.labels(self._schema).inc(len(positions))

    async def _bodies(self, connection: asyncpg.Connection, rows: Sequence[asyncpg.Record]) -> list[bytes]:
        things = [row["thing"] for row in rows if row["body"] is None]
        records = await self._current(connection, things) if things and self._current else {}
        return [
            row["body"].encode() if row["body"] is not None else records[row["thing"]].model_dump_json().encode()
            for row in rows
        ]

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), seconds)
        except TimeoutError:
            return


def headers_of(schema: str, row: asyncpg.Record) -> dict[str, str]:
    """What a row of a journal travels with; its id is the message's, so that it is stored once."""
    headers = {
        HEADER_ID: str(row["fact_id"]),
        CE_SPEC: "1.0",
        CE_ID: str(row["fact_id"]),
        CE_TYPE: row["type"],
        CE_SOURCE: f"/conecta/{schema}",
        CE_TIME: row["recorded_at"].astimezone(UTC).isoformat(),
        CE_SUBJECT: row["thing"],
        "content-type": "application/json",
    }
    if row["traceparent"]:
        headers["traceparent"] = row["traceparent"]
    return headers


async def _close(connection: asyncpg.Connection) -> None:
    try:
        await connection.close(timeout=2)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()
