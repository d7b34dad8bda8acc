"""`receipts`: how many commands a second one client process gets receipts for, against bare publishing with an id.

Nobody carries commands out meanwhile: the consumer is held, as it would be with the services away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from time import monotonic
from typing import Any

from uuid_utils.compat import uuid7

from bench import bare
from bench.applications import application, open_call, token
from bench.figures import Figure, at_least, compared
from bench.ground import Ground, in_own_loop, until
from bench.pipelines import bare_pipeline
from bench.pipes import Pipe, Wire
from shared.client import connected
from shared.contracts.people import Role
from shared.contracts.wire import STREAM_COMMANDS

IN_FLIGHT = 256
_AID_CALLS = (STREAM_COMMANDS, "aid_calls")


async def receipts(ground: Ground, *, number: int, rounds: int, suffix: str = "") -> list[Figure]:
    """Receipts a second, and bare acknowledgements a second."""
    found: list[float] = []
    limit: list[float] = []
    call_id = await open_call(ground)
    async with bare_pipeline(ground, "good"), ground.held("aid_calls.commands"), ground.held("bench.applications"):
        actor = token(ground, Role.PARTICIPANT)
        settings = ground.stack.client_settings(instance="receipts")
        for _ in range(rounds):
            # All of one person: what their service makes of them later is not measured here.
            limit.append(await in_own_loop(partial(_bare, ground, number)))
            commands = [application(call_id) for _ in range(number)]

            async def load(commands: list[Any] = commands) -> float:
                async with connected(settings) as client:
                    return await _timed([lambda one=one: client.send(one, actor=actor) for one in commands])

            found.append(await in_own_loop(load))

    async def settled() -> bool:
        return await ground.waiting(*_AID_CALLS) == 0

    await until(settled, seconds=120, what="commands of the receipts decided")
    return [compared(f"receipts{suffix}", found, limit, unit="1/s", bound=at_least(0.85))]


async def _bare(ground: Ground, number: int) -> float:
    """Acknowledgements a second with a message id, pipelined."""
    client = await ground.connect()
    pipe = Pipe(client)
    await pipe.start()
    payload = b"x" * 2400
    messages: list[Wire] = [(bare.COMMAND, payload, {"Nats-Msg-Id": str(uuid7())}) for _ in range(number)]
    began = monotonic()
    await pipe.publish_all(messages, window=IN_FLIGHT)
    seconds = monotonic() - began
    await client.close()
    return number / seconds


async def _timed(jobs: list[Callable[[], Coroutine[Any, Any, Any]]]) -> float:
    """How many of these end a second, 256 at a time."""
    left = iter(jobs)

    async def worker() -> None:
        for job in left:
            await job()

    began = monotonic()
    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    return len(jobs) / (monotonic() - began)
