"""Three nats-servers, every stream three times: the leader is killed, one is away, all are killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.faults.case import suffer
from tests.faults.cluster import NAMES, clustered
from tests.faults.ground import Ground
from tests.faults.jetstream import leader
from tests.faults.season import Season


@pytest.fixture(scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory, seed: int) -> AsyncIterator[Ground]:
    async with clustered(tmp_path_factory.mktemp("cluster"), seed=seed) as ground:
        yield ground


@pytest.mark.faults
async def test_the_leader_of_the_commands_is_killed(cluster: Ground, seed: int) -> None:
    victim = await leader(cluster, "COMMANDS")

    async def kill(ground: Ground, _: Season) -> None:
        await ground.stack.supervisor.kill(victim)
        await ground.stack.supervisor.wait_ready(victim)

    await suffer(cluster, "R3: kill -9 leader", kill, seed=seed, open_for=15, within=40, victims={victim})


@pytest.mark.faults
async def test_one_of_three_is_stopped_for_10_seconds(cluster: Ground, seed: int) -> None:
    leading = await leader(cluster, "COMMANDS")
    victim = next(name for name in NAMES if name != leading)

    async def away(ground: Ground, _: Season) -> None:
        await ground.stack.supervisor.stop(victim)
        await asyncio.sleep(10)  # the outage
        await ground.stack.supervisor.start(victim)

    await suffer(cluster, "R3: one of three away 10 s", away, seed=seed, open_for=15, within=40)


@pytest.mark.faults
async def test_all_three_are_killed(cluster: Ground, seed: int) -> None:
    async def kill(ground: Ground, _: Season) -> None:
        await asyncio.gather(*(ground.stack.supervisor.kill(name) for name in NAMES))
        await asyncio.gather(*(ground.stack.supervisor.wait_ready(name) for name in NAMES))

    await suffer(cluster, "R3: kill -9 all three", kill, seed=seed, open_for=20, within=60, victims=set(NAMES))
