"""A poison among good commands, the same command from two clients at once, a clock that is wrong."""

from __future__ import annotations

import asyncio

import pytest
from uuid_utils.compat import uuid7

from deploy.operate.bus import operator_bus
from deploy.operate.parked import parked, requeue
from shared.contracts.people import Role
from tests.faults.case import suffer
from tests.faults.ground import Ground
from tests.faults.jetstream import parked as number_parked
from tests.faults.season import Season
from tests.faults.senders import Person


@pytest.mark.faults
async def test_a_poison_is_parked_alone_and_carried_out_once_its_cause_is_gone(ground: Ground, seed: int) -> None:
    async def poison(ground: Ground, season: Season) -> None:
        key, command_id, one = uuid7(), uuid7(), Person(season.jury[0].person_id, Role.PARTICIPANT)
        command = season.application(one, season.current, key)
        with ground.orders.poison(key):
            carried = asyncio.create_task(ground.senders.carry(command, one, command_id=command_id))
            async with asyncio.timeout(60):
                while await number_parked(ground) == 0:  # noqa: ASYNC110 — another process parks
                    await asyncio.sleep(0.1)
            assert await ground.decides() < 10
            assert not carried.done()
        async with operator_bus(ground.operator_settings()) as bus:
            found = [one async for one in parked(bus)]
            assert [(one.consumer, one.id) for one in found] == [("aid_calls", str(command_id))]
            await requeue(bus, found[0])
        outcome = await carried
        assert outcome.applied

    await suffer(ground, "poison, parked, put back", poison, seed=seed, open_for=20)


@pytest.mark.faults
async def test_the_same_command_comes_three_times_and_from_two_clients_at_once(ground: Ground, seed: int) -> None:
    async def thrice(ground: Ground, season: Season) -> None:
        senders = ground.senders
        for one in (Person(one.person_id, Role.PARTICIPANT) for one in season.jury):
            command, command_id = season.application(one, season.current), uuid7()
            outcomes = await asyncio.gather(*(senders.carry(command, one, command_id=command_id) for _ in range(3)))
            assert all(outcome == outcomes[0] and outcome.applied for outcome in outcomes)

    await suffer(ground, "same command 3 times at once", thrice, seed=seed)


@pytest.mark.faults
@pytest.mark.parametrize("hours", [1, -1])
@pytest.mark.parametrize("service", ["registration", "aid_calls", "notifications"])
async def test_a_services_clock_jumps(ground: Ground, seed: int, service: str, hours: int) -> None:
    async def jump(ground: Ground, _: Season) -> None:
        with ground.orders.clock(service, 3600 * hours):
            await ground.senders.received(len(ground.senders.receipts) + 40)
            await ground.decides()

    await suffer(ground, f"clock of {service} {hours:+} h", jump, seed=seed)
