"""The loop that every durable consumer runs: pull, one transaction per batch, settle each message after commit.

| what happens                              | what the message sees                                          |
|-------------------------------------------|----------------------------------------------------------------|
| handled, committed                        | acknowledged                                                   |
| process dies before or after the commit   | delivered again; the commands table, or the version, says done |
| its handler raises                        | the savepoint goes, it alone is delivered again after a delay   |
| ... for the tenth time                    | parked with the reason, its headers and its payload             |
| the database is away                      | kept in hand (in progress), tried again; costs no attempt        |
| a fault outside every savepoint           | the batch is handled again one message at a time               |
| the service is told to stop               | the batch in hand is finished, the rest is handed back at once   |
"""

from __future__ import annotations

import asyncio
import json
import random
import traceback
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Protocol

import nats.errors
from nats.aio.client import Client

from shared.contracts.wire import (
    HEADER_ID,
    HEADER_PARKED_AT,
    HEADER_PARKED_ATTEMPTS,
    HEADER_PARKED_ID,
    HEADER_PARKED_SEQUENCE,
    HEADER_PARKED_STREAM,
    HEADER_PARKED_SUBJECT,
    HEADER_REASON,
    STREAM_PARKED,
    STREAM_RESOLVED,
)
from shared.db import Database, Tx, is_outage
from shared.log import logger
from shared.messaging import metrics
from shared.messaging.bookkeeping import Bookkeeping
from shared.messaging.bus import Publisher, PublishRefused, PublishUnknown
from shared.messaging.pull import ACK_WAIT, Message, Pull

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a message whose handler raises is tried: seconds before each next attempt, attempts in all."""

    delays: tuple[float, ...] = (1.0, 5.0, 15.0, 60.0, 300.0)
    attempts: int = 10


@dataclass(frozen=True, slots=True)
class Done:
    """Handled: acknowledge it, and say `tell` to whoever waits (subject, payload)."""

    tell: tuple[str, bytes] | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """Its handler raised for the n-th time."""

    attempts: int
    error: str


Verdict = Done | Failed


class Work(Protocol):
    """What a consumer's messages are carried out by."""

    async def carry_out(self, tx: Tx, messages: Sequence[Message]) -> list[Verdict]:
        """A verdict per message, in the same order; faults of single messages are isolated inside."""

    def message_id(self, message: Message) -> str:
        """Under which a message's failed attempts are counted."""


class Consumer:
    """One durable consumer of one service."""

    def __init__(
        self,
        *,
        service: str,
        stream: str,
        batch: int,
        client: Client,
        publisher: Publisher,
        database: Database,
        bookkeeping: Bookkeeping,
        work: Work,
        news: asyncio.Event,
        patience: Patience | None = None,
    ) -> None:
        self.stream = stream
        self._service = service
        self._batch = batch
        self._client = client
        self._publisher = publisher
        self._database = database
        self._bookkeeping = bookkeeping
        self._work = work
        self._pull = Pull(client, stream=stream, consumer=service, batch=batch)
        self._in_hand: list[Message] = []
        self._stopping = asyncio.Event()
        self._news = news
        self._patience = patience or Patience()
        self.outage: str | None = None

    @property
    def trouble(self) -> str | None:
        """Why it is not ready, if it is not."""
        return self._pull.lost or self.outage

    def reconnected(self) -> None:
        """The connection is back: what was asked of the old one is forgotten."""
        self._pull.ask_again()

    def stop(self) -> None:
        """Finish the batch in hand, then end."""
        self._stopping.set()
        self._pull.stop()

    async def run(self) -> None:
        """Handle messages until told to stop."""
        await self._pull.start()
        heartbeat = asyncio.create_task(self._keep_in_hand())
        try:
            while messages := await self._pull.next(self._batch):
                self._in_hand = messages
                settled = await self._handle(messages)
                self._in_hand = messages[settled:]
        finally:
            heartbeat.cancel()
            await self._hand_back()

    async def _handle(self, messages: list[Message]) -> int:
        """Decide and settle a batch; how many were settled: all, or none when stopped in an outage."""
        started = monotonic()
        verdicts = await self._decide(messages)
        metrics.BATCH.labels(self._service, self.stream).observe(len(messages))
        metrics.HANDLING.labels(self._service, self.stream).observe(monotonic() - started)
        self._news.set()
        for message, verdict in zip(messages, verdicts, strict=False):
            await self._settle(message, verdict)
        return len(verdicts)

    async def _decide(self, messages: list[Message]) -> list[Verdict]:
        """Verdicts of a batch, however long the database is away; none when told to stop meanwhile."""
        pause = 0.05
        while True:
            try:
                async with self._database.transaction() as tx:
                    verdicts = await self._work.carry_out(tx, messages)
                    await self._forget_failures(tx, messages, verdicts)
            except Exception as error:  # noqa: BLE001 — any fault of a handler is counted and told
                if not is_outage(error):
                    return await self._one_by_one(messages, error)
                self._note_outage(error)
            else:
                self.outage = None
                return verdicts
            if await self._stops_within(pause * random.uniform(0.8, 1.2)):  # noqa: S311 — jitter
                return []
            pause = min(pause * 2, 2.0)

    async def _one_by_one(self, messages: list[Message], error: Exception) -> list[Verdict]:
        if len(messages) > 1:
            return [verdict for message in messages for verdict in await self._decide([message])]
        text = described(error)
        return [await self._count_failure(messages[0], text)]

    async def _count_failure(self, message: Message, error: str) -> Verdict:
        while True:
            try:
                async with self._database.transaction() as tx:
                    attempts = await self._bookkeeping.failed(
                        tx, consumer=self.stream, message_id=self._work.message_id(message), error=error
                    )
                return Failed(attempts, error)
            except Exception as outage:
                if not is_outage(outage):
                    raise
                self._note_outage(outage)
            if await self._stops_within(1.0):
                return Failed(1, error)

    async def _forget_failures(self, tx: Tx, messages: Sequence[Message], verdicts: Sequence[Verdict]) -> None:
        again = [
            self._work.message_id(message)
            for message, verdict in zip(messages, verdicts, strict=True)
            if message.delivered > 1 and isinstance(verdict, Done)
        ]
        await self._bookkeeping.settled(tx, consumer=self.stream, message_ids=again)

    def _note_outage(self, error: Exception) -> None:
        if self.outage is None:
            metrics.OUTAGES.labels(self._service, self.stream).inc()
            log.warning("database-away", stream=self.stream, error=described(error))
        self.outage = "database-away"

    async def _settle(self, message: Message, verdict: Verdict) -> None:
        try:
            if isinstance(verdict, Done):
                if verdict.tell is not None:
                    await self._client.publish(*verdict.tell)
                await self._client.publish(message.reply, b"+ACK")
            elif verdict.attempts >= self._patience.attempts and await self._park(message, verdict):
                await self._client.publish(message.reply, b"+TERM parked")
            else:
                await self._later(message, verdict)
        except (nats.errors.Error, OSError) as error:
            # Not settled: it is delivered again, and found done.
            log.warning("not-settled", stream=self.stream, sequence=message.sequence, error=described(error))

    async def _later(self, message: Message, verdict: Failed) -> None:
        metrics.FAILURES.labels(self._service, self.stream).inc()
        delays = self._patience.delays
        delay = delays[min(verdict.attempts, len(delays)) - 1] * random.uniform(0.8, 1.2)  # noqa: S311
        log.error(
            "handler-failed",
            stream=self.stream,
            sequence=message.sequence,
            subject=message.subject,
            attempts=verdict.attempts,
            error=verdict.error,
        )
        body = json.dumps({"delay": int(delay * 1e9)}).encode()
        await self._client.publish(message.reply, b"-NAK " + body)

    async def _park(self, message: Message, verdict: Failed) -> bool:
        # What the sender wrote for JetStream (expectations, rollups, schedules) must not speak to PARKED.
        written = {name: value for name, value in message.headers.items() if not name.lower().startswith("nats-")}
        headers = {
            **written,
            **self._origin(message),
            HEADER_PARKED_ATTEMPTS: str(verdict.attempts),
            HEADER_REASON: verdict.error[:500].replace("\n", " "),
            HEADER_ID: f"{self._service}-{self.stream}-{message.sequence}",
            "Nats-Expected-Stream": STREAM_PARKED,
        }
        try:
            await self._publisher.publish(f"conecta.parked.{self._service}", message.data, headers)
        except (PublishRefused, PublishUnknown) as error:
            log.error("not-parked", stream=self.stream, sequence=message.sequence, error=described(error))  # noqa: TRY400
            return False
        metrics.PARKED.labels(self._service, self.stream).inc()
        log.error("parked", stream=self.stream, sequence=message.sequence, error=verdict.error)
        return True

    def _origin(self, message: Message) -> dict[str, str]:
        """Where it first stood; of one that an operator had put back, its headers say that already."""
        if self.stream == STREAM_RESOLVED:
            return {}
        return {
            HEADER_PARKED_ID: message.headers.get(HEADER_ID, ""),
            HEADER_PARKED_STREAM: self.stream,
            HEADER_PARKED_SEQUENCE: str(message.sequence),
            HEADER_PARKED_SUBJECT: message.subject,
            HEADER_PARKED_AT: message.stored_at.isoformat(),
        }

    async def _keep_in_hand(self) -> None:
        """Tell the server that what we hold is being worked on, so that it is not delivered to anybody else."""
        while True:
            await asyncio.sleep(ACK_WAIT / 3)
            try:
                for message in (*self._in_hand, *self._pull.waiting):
                    await self._client.publish(message.reply, b"+WPI")
            except (nats.errors.Error, OSError) as error:
                log.warning("not-kept-in-hand", stream=self.stream, error=described(error))

    async def _hand_back(self) -> None:
        try:
            await self._pull.close()
            left = [*self._in_hand, *self._pull.waiting]
            for message in left:
                await self._client.publish(message.reply, b"-NAK")
        except (nats.errors.Error, OSError) as error:
            log.warning("not-handed-back", stream=self.stream, error=described(error))

    async def _stops_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return False
        return True


def savepoint(tx: Tx, *, alone: bool) -> AbstractAsyncContextManager[object]:
    """A savepoint, unless the whole transaction is about one message."""
    return nullcontext() if alone else tx.transaction()


def described(error: BaseException) -> str:
    """An error for logs and parked messages: its kind, PostgreSQL's code and constraint, where; never a value."""
    code = getattr(error, "sqlstate", None)
    constraint = getattr(error, "constraint_name", None)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "site-packages" not in f.filename]
    where = f"at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else None
    return " ".join(str(part) for part in (type(error).__name__, code, constraint, where) if part)
