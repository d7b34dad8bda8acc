"""The bare pipeline: the same stages and batch sizes with raw asyncpg and nats-py, and no rules at all.

One process per stage: `python -m bench.bare ROLE FORM`. `good` is the least that a pipeline with a transaction per
batch costs here; `naive` takes one message in one transaction. Neither survives a fault: it is a limit, no example.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any
from uuid import UUID

import asyncpg
import nats
import uvloop
from nats.aio.client import Client
from nats.aio.msg import Msg
from pydantic import BaseModel
from uuid_utils.compat import uuid7

from bench.pipes import Flow, Pipe

COMMANDS, EVENTS = "BARE_COMMANDS", "BARE_EVENTS"
COMMAND, EVENT = "bench.cmd.submit", "bench.evt.submitted"
SERVICE, RELAY, EVALUATION, NOTIFICATIONS = ROLES = ("service", "relay", "evaluation", "notifications")
CONSUMERS = ((COMMANDS, SERVICE), (EVENTS, EVALUATION), (EVENTS, NOTIFICATIONS))
BATCH, RELAYED = 256, 500

SCHEMA = """
drop schema if exists bench cascade;
create schema bench;
create table bench.applications (application_id uuid primary key, command_id uuid not null unique,
    call_id uuid not null, person_id uuid not null, project text not null, body json not null);
create table bench.outbox (position bigint generated always as identity primary key, event_id uuid not null,
    body json not null);
create table bench.projection (application_id uuid primary key, call_id uuid not null, project text not null,
    state text not null, version int not null, updated_at timestamptz not null);
create table bench.mails (event_id uuid, person_id uuid, subject text not null, body text not null,
    primary key (event_id, person_id));
"""

_APPLY = """
    with new as (
        select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::json[], $7::uuid[],
                             $8::json[])
            as t (application_id, command_id, call_id, person_id, project, body, event_id, event)
    ), applied as (
        insert into bench.applications select application_id, command_id, call_id, person_id, project, body from new
        on conflict do nothing returning application_id
    ), owed as (
        insert into bench.outbox (event_id, body) select event_id, event from new join applied using (application_id)
    )
    select pg_notify('bench_outbox', '')
    """
_PROJECT = """
    insert into bench.projection as p
    select distinct on (1) a, c, t, 'submitted', 1, now() from unnest($1::uuid[], $2::uuid[], $3::text[]) as x (a, c, t)
    on conflict (application_id) do update set version = p.version + 1, state = excluded.state, updated_at = now()
    """
_OWE = """
    insert into bench.mails select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) on conflict do nothing
    """
_NEXT = "select position, event_id, body from bench.outbox order by position limit $1 for update skip locked"
_FORGET = "delete from bench.outbox where position = any($1::bigint[])"


class Submit(BaseModel):
    """The bare command."""

    command_id: UUID
    application_id: UUID
    call_id: UUID
    person_id: UUID
    project: str
    motivation: str


class Event(BaseModel):
    """The bare fact; `stored` is when the bus had stored the command, in nanoseconds."""

    event_id: UUID
    application_id: UUID
    call_id: UUID
    person_id: UUID
    project: str
    stored: int


class Stage:
    """One process of the pipeline."""

    def __init__(self, bus: Client, database: asyncpg.Connection[asyncpg.Record]) -> None:
        self.bus = bus
        self.database = database
        self.stopping = asyncio.Event()

    async def run(self, role: str, form: str) -> None:
        """Until told to stop."""
        if role == RELAY:
            await (self._relay_good() if form == "good" else self._relay_naive())
        elif form == "good":
            await self._consume_good(role)
        else:
            await self._consume_naive(role)

    async def _consume_good(self, role: str) -> None:
        stream = {consumer: stream for stream, consumer in CONSUMERS}[role]
        flow = Flow(self.bus, stream=stream, consumer=role, batch=BATCH)
        await flow.start()
        while not self.stopping.is_set():
            if messages := await flow.next():
                await self._handle(role, messages)
                for message in messages:
                    await self.bus.publish(message.reply, b"+ACK")

    async def _consume_naive(self, role: str) -> None:
        stream = {consumer: stream for stream, consumer in CONSUMERS}[role]
        subscription = await self.bus.jetstream().pull_subscribe_bind(role, stream)
        while not self.stopping.is_set():
            try:
                messages = await subscription.fetch(1, timeout=0.5)
            except nats.errors.TimeoutError:
                continue
            async with self.database.transaction():
                await self._handle(role, messages)
            await messages[0].ack()

    async def _handle(self, role: str, messages: list[Msg]) -> None:
        if role == SERVICE:
            await self._apply(messages)
            return
        events = [Event.model_validate_json(message.data) for message in messages]
        if role == EVALUATION:
            await self.database.execute(
                _PROJECT,
                [one.application_id for one in events],
                [one.call_id for one in events],
                [one.project for one in events],
            )
        else:
            await self.database.execute(
                _OWE,
                [one.event_id for one in events],
                [one.person_id for one in events],
                ["Solicitud recibida"] * len(events),
                ["x" * 200] * len(events),
            )

    async def _apply(self, messages: list[Msg]) -> None:
        columns: list[list[Any]] = [[] for _ in range(8)]
        for message in messages:
            command = Submit.model_validate_json(message.data)
            event_id = uuid7()
            event = Event(
                event_id=event_id,
                application_id=command.application_id,
                call_id=command.call_id,
                person_id=command.person_id,
                project=command.project,
                stored=int(message.reply.split(".")[7]),
            )
            row = (
                command.application_id,
                command.command_id,
                command.call_id,
                command.person_id,
                command.project,
                message.data.decode(),
                event_id,
                event.model_dump_json(),
            )
            for column, value in zip(columns, row, strict=True):
                column.append(value)
        await self.database.execute(_APPLY, *columns)

    async def _relay_good(self) -> None:
        pipe, wake = Pipe(self.bus), asyncio.Event()
        await pipe.start()
        await self.database.add_listener("bench_outbox", lambda *_: wake.set())
        while not self.stopping.is_set():
            wake.clear()
            async with self.database.transaction():
                if rows := await self.database.fetch(_NEXT, RELAYED):
                    await pipe.publish_all(
                        [(EVENT, row["body"].encode(), {"Nats-Msg-Id": str(row["event_id"])}) for row in rows]
                    )
                    await self.database.execute(_FORGET, [row["position"] for row in rows])
            if not rows:
                await _within(wake, 0.5)

    async def _relay_naive(self) -> None:
        stream = self.bus.jetstream()
        while not self.stopping.is_set():
            async with self.database.transaction():
                rows = await self.database.fetch(_NEXT, 1)
                for row in rows:
                    await stream.publish(EVENT, row["body"].encode(), headers={"Nats-Msg-Id": str(row["event_id"])})
                    await self.database.execute(_FORGET, [row["position"]])
            if not rows:
                await _within(self.stopping, 0.05)


async def _within(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return


async def _main(role: str, form: str) -> None:
    bus = await nats.connect(
        os.environ["BENCH_NATS"], user="bench", password=os.environ["BENCH_PASSWORD"], pending_size=64 << 20
    )
    stage = Stage(bus, await asyncpg.connect(os.environ["BENCH_DSN"]))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stage.stopping.set)
    print("ready", flush=True)
    await stage.run(role, form)
    await stage.database.close()
    await bus.close()


if __name__ == "__main__":
    uvloop.run(_main(sys.argv[1], sys.argv[2]))
