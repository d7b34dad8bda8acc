"""The two pipelines side by side: Conecta's own and the bare one, started, loaded and watched in the same way."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from uuid import UUID

from bench import applications, bare
from bench.ground import Ground, in_own_loop, until
from bench.host import cpu_seconds
from bench.pipes import Pipe, Wire
from shared.contracts import SERVICES
from shared.contracts.wire import STREAM_COMMANDS, STREAM_EVENTS

_SERVERS = ("postgres", "nats")


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """Where commands go in, what is locked to hold them, who has to hear the facts, what counts as its CPU."""

    ground: Ground
    commands: tuple[str, str]
    table: str
    events: str
    hearers: tuple[str, ...]
    processes: tuple[int, ...]
    call_id: UUID | None = None

    def messages(self, number: int) -> list[Wire]:
        """Commands for it, of the same size on both sides."""
        if self.call_id is not None:
            return applications.ours(self.ground, self.call_id, number)
        return applications.raw([applications.SIZE + 340] * number)  # 340: what our tokens add

    def cpu(self) -> float:
        """CPU seconds used so far by all its processes and both servers."""
        return cpu_seconds([*self.processes, *self.ground.pids(*_SERVERS)])

    async def drained(self, *, facts: int) -> bool:
        """Whether every command is settled and the facts up to this place are heard."""
        if await self.ground.waiting(*self.commands) or await self.ground.last_sequence(self.events) < facts:
            return False
        return not any([await self.ground.waiting(self.events, hearer) for hearer in self.hearers])


@dataclass(frozen=True, slots=True)
class Rush:
    """How a backlog was worked off: per second, and CPU seconds per command."""

    rate: float
    cpu: float


async def rush(pipeline: Pipeline, number: int) -> Rush:
    """Lay up a backlog, let it go, and measure until the last projection has it."""
    ground = pipeline.ground
    facts = await ground.last_sequence(pipeline.events) + number
    messages = pipeline.messages(number)
    async with ground.held(pipeline.table):
        await publish(ground, messages)
    cpu, began = pipeline.cpu(), monotonic()
    await until(lambda: pipeline.drained(facts=facts), seconds=number / 50 + 60, what="the backlog worked off")
    seconds = monotonic() - began
    return Rush(rate=number / seconds, cpu=(pipeline.cpu() - cpu) / number)


async def publish(ground: Ground, messages: Sequence[Wire]) -> None:
    """Put a backlog on the bus."""

    async def load() -> None:
        client = await ground.connect()
        pipe = Pipe(client)
        await pipe.start()
        await pipe.publish_all(messages)
        await client.close()

    await in_own_loop(load)


async def conecta(ground: Ground) -> Pipeline:
    """The system itself, with a call that is open."""
    return Pipeline(
        ground=ground,
        commands=(STREAM_COMMANDS, "aid_calls"),
        table="aid_calls.commands",
        events=STREAM_EVENTS,
        hearers=("evaluation", "notifications"),
        processes=tuple(ground.pids(*SERVICES)),
        call_id=await applications.open_call(ground),
    )


@asynccontextmanager
async def bare_pipeline(ground: Ground, form: str) -> AsyncIterator[Pipeline]:
    """The bare pipeline's processes, as long as the block lasts; its streams and tables are made anew."""
    await provision_bare(ground)
    processes = [await _stage(ground, role, form) for role in bare.ROLES]
    try:
        yield Pipeline(
            ground=ground,
            commands=(bare.COMMANDS, bare.SERVICE),
            table="bench.applications",
            events=bare.EVENTS,
            hearers=(bare.EVALUATION, bare.NOTIFICATIONS),
            processes=tuple(process.pid for process in processes),
        )
    finally:
        for process in processes:
            if process.returncode is None:
                process.terminate()
        for process in processes:
            await asyncio.wait_for(process.wait(), 20)


async def provision_bare(ground: Ground) -> None:
    """Its streams, consumers and tables, anew."""
    await ground.superuser.execute(bare.SCHEMA)
    for stream, subject in ((bare.COMMANDS, "bench.cmd.>"), (bare.EVENTS, "bench.evt.>")):
        try:
            await ground.api(f"STREAM.DELETE.{stream}")
        except RuntimeError as error:
            if "not found" not in str(error):
                raise
        config = {"name": stream, "subjects": [subject], "storage": "file", "duplicate_window": 3600 * 10**9}
        await ground.api(f"STREAM.CREATE.{stream}", config)
    for stream, consumer in bare.CONSUMERS:
        config = {"durable_name": consumer, "ack_policy": "explicit", "max_ack_pending": 2048, "ack_wait": 30 * 10**9}
        await ground.api(f"CONSUMER.CREATE.{stream}.{consumer}", {"stream_name": stream, "config": config})


async def _stage(ground: Ground, role: str, form: str) -> Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.bare",
        role,
        form,
        env={
            **os.environ,
            "BENCH_NATS": ground.stack.nats.url,
            "BENCH_PASSWORD": ground.bus_password,
            "BENCH_DSN": ground.dsn(),
        },
        stdout=PIPE,
        process_group=0,
    )
    assert process.stdout is not None  # noqa: S101 — asked for above
    if await asyncio.wait_for(process.stdout.readline(), 20) != b"ready\n":
        raise RuntimeError(f"the bare {role} did not start")
    return process
