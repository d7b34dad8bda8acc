"""`receipts`: how many commands a second one client process gets receipts for, against bare publishing with an id.

Nobody carries commands out meanwhile: the consumer is held, as it would be with the services away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from time import monotonic

from uuid_utils.compat import uuid7

from bench import bare
from bench.applications import application, open_call, token
from bench.figures import Figure, at_least, compared
from bench.ground import Ground, in_own_loop, until
from bench.pipelines import provision_bare
from bench.pipes import Pipe, Wire
from shared.client import connected
from shared.contracts.aid_calls import SubmitApplication
from shared.contracts.people import Role
from shared.contracts.wire import STREAM_COMMANDS
from shared.settings import ClientSettings

IN_FLIGHT = 256
_AID_CALLS = (STREAM_COMMANDS, "aid_calls")


async def receipts(ground: Ground, *, number: int, rounds: int, suffix: str = "") -> list[Figure]:
    """Receipts a second, and bare acknowledgements a second."""
    found: list[float] = []
    limit: list[float] = []
    call_id = await open_call(ground)
    await provision_bare(ground)
    async with ground.held("aid_calls.commands"):
        actor = token(ground, Role.PARTICIPANT)
        settings = ground.stack.client_settings(instance="receipts")
        for _ in range(rounds):
            # All of one person: what their service makes of them later is not measured here.
            limit.append(await in_own_loop(partial(_bare, ground, number)))
            commands = [application(call_id) for _ in range(number)]
            load = partial(_received, settings, commands, actor)
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


async def _received(settings: ClientSettings, commands: Sequence[SubmitApplication], actor: str) -> float:
    """Receipts a second from the client library, 256 commands at a time."""
    async with connected(settings) as client:
        left = iter(commands)

        async def worker() -> None:
            for command in left:
                await client.send(command, actor=actor)

        began = monotonic()
        await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
        return len(commands) / (monotonic() - began)
