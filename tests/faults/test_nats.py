"""nats-server is killed, away for short and for long, full; its streams and consumers are deleted or drift."""

from __future__ import annotations

import asyncio

import pytest
from uuid_utils.compat import uuid7

from deploy.operate.replay import replay
from shared.contracts import SERVICES
from shared.contracts.people import PersonDetails
from shared.contracts.registration import RegisterPerson
from tests.faults.case import Fault, suffer
from tests.faults.ground import Ground
from tests.faults.jetstream import delete_consumer, delete_stream, drift_consumer, fill_commands
from tests.faults.season import Season


def away(seconds: float) -> Fault:
    async def fault(ground: Ground, _: Season) -> None:
        await ground.stack.supervisor.stop("nats")
        await asyncio.sleep(seconds)  # the outage
        await ground.stack.supervisor.start("nats")

    return fault


@pytest.mark.faults
async def test_the_bus_is_away_for_2_seconds(ground: Ground, seed: int) -> None:
    await suffer(ground, "nats away 2 s", away(2), seed=seed)


@pytest.mark.faults
@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_the_bus_is_away_for_longer_than_clients_usually_try(ground: Ground, seed: int) -> None:
    await suffer(ground, "nats away 200 s", away(200), seed=seed, open_for=205, within=40)


@pytest.mark.faults
async def test_the_bus_is_killed(ground: Ground, seed: int) -> None:
    async def kill(ground: Ground, _: Season) -> None:
        await ground.stack.supervisor.kill("nats")
        await ground.stack.supervisor.wait_ready("nats")

    await suffer(ground, "kill -9 nats", kill, seed=seed, victims={"nats"})


@pytest.mark.faults
async def test_a_command_is_repeated_after_the_bus_that_had_handed_it_out_was_restarted(
    ground: Ground, seed: int
) -> None:
    async def restart(ground: Ground, season: Season) -> None:
        person = PersonDetails(given="Ana", family="Mamani", email=f"again-{season.number}@example.org")
        command, command_id = RegisterPerson(person_id=uuid7(), person=person), uuid7()
        first = await ground.senders.carry(command, ground.organiser, command_id=command_id)
        await ground.stack.supervisor.kill("nats")
        await ground.stack.supervisor.wait_ready("nats")
        again = await ground.senders.carry(command, ground.organiser, command_id=command_id)
        assert again == first

    await suffer(ground, "nats restarted, retry (F4)", restart, seed=seed, victims={"nats"})


async def until_unready(ground: Ground, service: str) -> None:
    """A service says of itself that it is not as it should be, in less than 30 s."""
    async with asyncio.timeout(30):
        while await ground.ready(service):  # noqa: ASYNC110 — another process tells
            await asyncio.sleep(0.2)


@pytest.mark.faults
@pytest.mark.parametrize(
    ("stream", "service"), [("COMMANDS", "aid_calls"), ("COMMANDS", "registration"), ("EVENTS", "evaluation")]
)
async def test_a_consumer_is_deleted_and_provisioned_anew(ground: Ground, seed: int, stream: str, service: str) -> None:
    async def delete(ground: Ground, _: Season) -> None:
        await delete_consumer(ground, stream, service)
        await until_unready(ground, service)
        await ground.provision()

    await suffer(ground, f"consumer {stream} {service} deleted", delete, seed=seed, open_for=12)


@pytest.mark.faults
async def test_a_consumers_settings_drift(ground: Ground, seed: int) -> None:
    async def drift(ground: Ground, _: Season) -> None:
        await drift_consumer(ground, "COMMANDS", "registration", max_ack_pending=1, ack_wait=1_000_000_000)
        await drift_consumer(ground, "EVENTS", "notifications", max_ack_pending=1)
        await ground.senders.received(len(ground.senders.receipts) + 30)
        await ground.provision()

    await suffer(ground, "consumers drifted", drift, seed=seed)


@pytest.mark.faults
async def test_facts_are_lost_by_the_bus_and_published_again_from_the_journals(ground: Ground, seed: int) -> None:
    async def lose(ground: Ground, _: Season) -> None:
        await delete_stream(ground, "EVENTS")
        await until_unready(ground, "evaluation")
        await ground.provision()
        await ground.decides()  # relays publish what is new before what is old comes again
        ground.reordered = True
        for service in SERVICES:
            await replay(ground.operator_settings(), service, start=None, advance=lambda *_: None)

    await suffer(ground, "EVENTS deleted, replayed", lose, seed=seed, open_for=12, within=60, shuffled=True)


@pytest.mark.faults
async def test_facts_are_delivered_twice_and_out_of_order(ground: Ground, seed: int) -> None:
    async def again(ground: Ground, _: Season) -> None:
        for service in ("evaluation", "notifications"):
            await delete_consumer(ground, "EVENTS", service)
        await ground.provision()

    await suffer(ground, "all facts delivered again", again, seed=seed, within=60, shuffled=True)


@pytest.mark.faults
async def test_the_stream_of_commands_is_full_and_given_more_room(ground: Ground, seed: int) -> None:
    async def fill(ground: Ground, _: Season) -> None:
        full = ground.senders.full
        await fill_commands(ground, room=4000)
        async with asyncio.timeout(30):
            while ground.senders.full < full + 20:  # noqa: ASYNC110 — clients are being refused
                await asyncio.sleep(0.02)
        await ground.provision()

    await suffer(ground, "COMMANDS full, raised", fill, seed=seed, open_for=10)
