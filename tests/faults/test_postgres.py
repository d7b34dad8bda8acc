"""PostgreSQL is killed, frozen, stopped; transactions that commit late, or in the reverse order of their positions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from signal import SIGCONT, SIGSTOP, Signals
from time import monotonic
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from services.registration import commands
from shared.contracts.people import Role
from shared.contracts.registration import CreateMeeting
from shared.identity import Actor
from shared.journal import Entry, Journal
from shared.messaging import By
from tests.faults.case import suffer
from tests.faults.ground import Ground
from tests.faults.season import Season


@pytest.mark.faults
async def test_postgresql_is_killed(ground: Ground, seed: int) -> None:
    async def kill(ground: Ground, _: Season) -> None:
        await ground.stack.supervisor.kill("postgres")
        await ground.stack.supervisor.wait_ready("postgres")

    await suffer(ground, "kill -9 postgres", kill, seed=seed, victims={"postgres"})


@pytest.mark.faults
async def test_postgresql_is_away_for_some_seconds(ground: Ground, seed: int) -> None:
    async def away(ground: Ground, _: Season) -> None:
        await ground.stack.supervisor.stop("postgres")
        await asyncio.sleep(5)  # the outage
        await ground.stack.supervisor.start("postgres")

    await suffer(ground, "postgres away 5 s", away, seed=seed)


@pytest.mark.faults
async def test_postgresql_is_frozen_for_20_seconds(ground: Ground, seed: int) -> None:
    async def freeze(ground: Ground, _: Season) -> None:
        server = ground.stack.supervisor.pid("postgres")
        assert server is not None
        frozen = [server, *_children(server)]
        _send(frozen, SIGSTOP)
        await asyncio.sleep(20)  # the outage
        _send(frozen, SIGCONT)

    await suffer(ground, "postgres frozen 20 s", freeze, seed=seed, open_for=20, within=40)


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _send(pids: list[int], number: Signals) -> None:
    import os  # noqa: PLC0415 — only here

    for pid in pids:
        if Path(f"/proc/{pid}").exists():
            os.kill(pid, number)


@asynccontextmanager
async def meeting_entered(ground: Ground, letter: str) -> AsyncIterator[None]:
    """A transaction of registration that has its state and its position in the journal, and is not committed yet."""
    starts = datetime.now(UTC) + timedelta(days=60)
    command = CreateMeeting(
        meeting_id=uuid7(),
        code=f"TX-{letter}-{ground.seasons}",
        title="Encuentro",
        theme="Festivales",
        city="Cusco",
        region="08",
        starts_at=starts,
        ends_at=starts + timedelta(days=1),
        capacity=5,
    )
    by = By(uuid7(), Actor(uuid7(), frozenset({Role.ORGANISER})), datetime.now(UTC))
    async with ground.database("registration") as connection, connection.transaction():
        decision = await commands.create_meeting(connection, command, by)
        await Journal("registration").append(connection, [Entry(fact, None) for fact in decision.facts])
        async with _active(connection):
            yield


@asynccontextmanager
async def _active(connection: Any) -> AsyncIterator[None]:
    """Keep the session from being ended for idling in its transaction."""

    async def ask() -> None:
        while True:
            await asyncio.sleep(10)
            await connection.fetchval("select 1")

    asking = asyncio.create_task(ask())
    try:
        yield
    finally:
        asking.cancel()
        await asyncio.wait([asking])


@pytest.mark.faults
async def test_two_transactions_commit_in_the_reverse_order_of_their_positions(ground: Ground, seed: int) -> None:
    async def reverse(ground: Ground, _: Season) -> None:
        async with meeting_entered(ground, "A"):
            async with meeting_entered(ground, "B"):
                pass  # commits first, has the higher position
            await ground.senders.received(len(ground.senders.receipts) + 20)

    await suffer(ground, "commits in reverse order", reverse, seed=seed)


@pytest.mark.faults
@pytest.mark.slow
async def test_a_transaction_stays_open_for_nearly_as_long_as_the_server_lets_it(ground: Ground, seed: int) -> None:
    async def long(ground: Ground, _: Season) -> None:
        started = monotonic()
        async with meeting_entered(ground, "L"):
            assert await ground.decides() < 10  # nobody waits for it
            await asyncio.sleep(started + 55 - monotonic())  # the server ends transactions after 60 s

    await suffer(ground, "transaction open 55 s", long, seed=seed)
