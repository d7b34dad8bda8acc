"""The consumer's loop on a real bus: what it does when its consumer is gone, when it is slow, when it is stopped."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from time import monotonic
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from deploy.provision import provision
from shared.contracts.aid_calls import WithdrawApplication
from shared.contracts.people import Role
from shared.contracts.wire import Outcome
from shared.db import Tx
from shared.messaging import By, Decision, applied
from shared.messaging.pull import ACK_WAIT
from tests.conftest import Token
from tests.shared.conftest import Bench, connect
from tests.shared.test_commands import withdraw


async def until(condition: Callable[[], bool], *, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 — state of this process that sets no event
            await asyncio.sleep(0.02)


async def test_a_deleted_consumer_is_noticed_and_taken_up_again_once_provisioned(bench: Bench, token: Token) -> None:
    command, actor = WithdrawApplication(application_id=uuid7()), token(uuid7(), Role.PARTICIPANT)
    bus = await connect(bench.installation.provision_settings(), "provision")
    async with bench.consuming({WithdrawApplication: withdraw}) as consumer:
        await until(lambda: consumer.trouble is None)
        await bus.jetstream().delete_consumer("COMMANDS", "aid_calls")
        await until(lambda: consumer.trouble == "consumer-missing")
        flying = await bench.client.dispatch(command, actor=actor)
        await flying.accepted()
        await provision(bench.installation.provision_settings())
        outcome = await flying.outcome(seconds=30)
        await until(lambda: consumer.trouble is None)
    await bus.close()
    assert outcome is not None
    assert outcome.applied


@pytest.mark.slow
async def test_a_handler_slower_than_the_acknowledgement_wait_is_not_given_the_same_command_twice(
    bench: Bench, token: Token
) -> None:
    runs = Counter[UUID]()

    async def slow(_tx: Tx, command: WithdrawApplication, _by: By) -> Decision:
        runs[command.application_id] += 1
        await asyncio.sleep(ACK_WAIT + 3)  # the slowness itself is what is tested
        return applied()

    command = WithdrawApplication(application_id=uuid7())
    async with bench.consuming({WithdrawApplication: slow}):
        outcome = await bench.client.execute(command, actor=token(uuid7(), Role.PARTICIPANT), seconds=60)
    assert outcome.applied
    assert runs[command.application_id] == 1


async def test_a_stopped_consumer_finishes_its_batch_and_hands_back_the_rest_at_once(
    bench: Bench, token: Token
) -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    async def held(_tx: Tx, _command: WithdrawApplication, _by: By) -> Decision:
        begun.set()
        await release.wait()
        return applied()

    async def dispatch() -> asyncio.Task[Outcome | None]:
        command = WithdrawApplication(application_id=uuid7())
        flying = await bench.client.dispatch(command, actor=token(uuid7(), Role.PARTICIPANT))
        await flying.accepted()
        return asyncio.create_task(flying.outcome(seconds=30))

    async with bench.consuming({WithdrawApplication: held}) as consumer:
        first = await dispatch()
        await begun.wait()
        rest = [await dispatch() for _ in range(30)]  # they arrive while the first is in hand
        consumer.stop()
        release.set()
    assert (await first) is not None
    started = monotonic()
    async with bench.consuming({WithdrawApplication: withdraw}):
        outcomes = await asyncio.gather(*rest)
    assert all(outcomes)
    assert monotonic() - started < ACK_WAIT / 2
