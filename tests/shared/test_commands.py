"""Batches of commands on real servers: isolation, retries, parking, de-duplication, authorisation."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import pytest
from nats.aio.msg import Msg
from nats.js.api import DeliverPolicy
from uuid_utils.compat import uuid7

from shared.contracts.aid_calls import ApplicationWithdrawn, WithdrawApplication
from shared.contracts.people import Role, Sector
from shared.contracts.wire import Status
from shared.db import Tx
from shared.messaging import Batched, By, Decision, Sender, applied, refused
from shared.messaging.consumer import Patience
from tests.conftest import Token
from tests.shared.conftest import Bench, connect

IMPATIENT = Patience(delays=(0.05,), attempts=3)


def withdrawn(application_id: UUID, person_id: UUID) -> ApplicationWithdrawn:
    return ApplicationWithdrawn.model_validate(
        {
            "version": 1,
            "application_id": application_id,
            "call_id": uuid7(),
            "person_id": person_id,
            "region": "15",
            "sector": Sector.MUSIC,
            "requested": "100.00",
            "aid": "100.00",
            "accepted_at": "2026-06-12T18:00:00Z",
        }
    )


async def withdraw(_tx: Tx, command: WithdrawApplication, by: By) -> Decision:
    fact = withdrawn(command.application_id, by.actor.person_id)
    return applied(fact, application_id=command.application_id)


async def journal_of(bench: Bench, application_id: UUID) -> int:
    async with bench.database.connection() as tx:
        return int(await tx.fetchval("select count(*) from aid_calls.journal where thing = $1", str(application_id)))


async def test_a_command_gets_a_receipt_and_an_outcome_and_its_fact_is_noted_once(bench: Bench, token: Token) -> None:
    person, application = uuid7(), uuid7()
    command, actor = WithdrawApplication(application_id=application), token(person, Role.PARTICIPANT)
    async with bench.consuming({WithdrawApplication: withdraw}):
        first = await bench.client.dispatch(command, actor=actor)
        again = await bench.client.dispatch(command, actor=actor, command_id=first.command_id)
        accepted = await first.accepted()
        outcome = await first.outcome()
        assert (await again.accepted()).receipt == accepted.receipt
    assert outcome is not None
    assert outcome.status is Status.APPLIED
    assert outcome.ids == {"application_id": str(application)}
    assert outcome.stored_at == accepted.receipt.stored_at
    assert await journal_of(bench, application) == 1


async def test_a_command_that_always_raises_is_parked_and_its_neighbours_are_applied(
    bench: Bench, token: Token
) -> None:
    poison, attempts = uuid7(), Counter[UUID]()

    async def handler(tx: Tx, command: WithdrawApplication, by: By) -> Decision:
        attempts[command.application_id] += 1
        if command.application_id == poison:
            await tx.execute("insert into aid_calls.failures values ('trace', $1, 1, '')", str(poison))
            raise RuntimeError("a name that must not be told")
        return await withdraw(tx, command, by)

    good = [uuid7() for _ in range(20)]
    commands = [*good[:10], poison, *good[10:]]
    flying = []
    for application in commands:  # stored before anybody reads, so that they come as one batch
        command = WithdrawApplication(application_id=application)
        flying.append(await bench.client.dispatch(command, actor=token(uuid7(), Role.PARTICIPANT)))
    [await one.accepted() for one in flying]
    parked = await parked_messages(bench)
    async with bench.consuming({WithdrawApplication: handler}, patience=IMPATIENT):
        outcomes = [await one.outcome() for one in flying if one is not flying[10]]
        message = await anext(parked)
    assert [outcome.status for outcome in outcomes if outcome] == [Status.APPLIED] * 20
    assert attempts[poison] == IMPATIENT.attempts
    assert {attempts[application] for application in good} == {1}
    assert message.headers is not None
    assert message.headers["Conecta-Parked-Id"] == str(flying[10].command_id)
    assert message.headers["Conecta-Parked-Subject"] == WithdrawApplication.subject()
    assert message.headers["Conecta-Parked-Reason"].startswith("RuntimeError at test_commands.py:")
    assert message.headers["ce-type"] == WithdrawApplication.type
    assert json.loads(message.data)["data"] == {"application_id": str(poison)}
    async with bench.database.connection() as tx:
        traces = await tx.fetchval("select count(*) from aid_calls.failures where consumer = 'trace'")
    assert traces == 0


async def parked_messages(bench: Bench) -> AsyncIterator[Msg]:
    """What is parked from now on, read as provisioning may."""
    bus = await connect(bench.installation.provision_settings(), "provision")
    subscription = await bus.jetstream().subscribe(
        "conecta.parked.aid_calls", ordered_consumer=True, deliver_policy=DeliverPolicy.NEW
    )

    async def messages() -> AsyncIterator[Msg]:
        try:
            yield await subscription.next_msg(timeout=20)
        finally:
            await bus.close()

    return messages()


async def test_a_command_that_raises_twice_and_then_works_is_applied_once(bench: Bench, token: Token) -> None:
    attempts = Counter[UUID]()

    async def handler(tx: Tx, command: WithdrawApplication, by: By) -> Decision:
        attempts[command.application_id] += 1
        if attempts[command.application_id] < 3:
            raise RuntimeError
        return await withdraw(tx, command, by)

    application = uuid7()
    async with bench.consuming({WithdrawApplication: handler}, patience=Patience(delays=(0.05,), attempts=10)):
        outcome = await bench.client.execute(
            WithdrawApplication(application_id=application), actor=token(uuid7(), Role.PARTICIPANT)
        )
    assert outcome.applied
    assert attempts[application] == 3
    assert await journal_of(bench, application) == 1


async def test_a_batched_handler_that_raises_is_tried_one_by_one(bench: Bench, token: Token) -> None:
    poison = uuid7()

    async def handler(_tx: Tx, senders: Sequence[Sender[WithdrawApplication]]) -> list[Decision]:
        if any(sender.command.application_id == poison for sender in senders):
            raise RuntimeError
        return [applied(application_id=sender.command.application_id) for sender in senders]

    applications = [uuid7(), poison, uuid7(), uuid7()]
    flying = [
        await bench.client.dispatch(WithdrawApplication(application_id=one), actor=token(uuid7(), Role.PARTICIPANT))
        for one in applications
    ]
    [await one.accepted() for one in flying]
    async with bench.consuming({WithdrawApplication: Batched(handler)}, patience=IMPATIENT):
        outcomes = [await one.outcome() for one in flying if one.command_id != flying[1].command_id]
    assert [outcome.applied for outcome in outcomes if outcome] == [True, True, True]


@pytest.mark.parametrize(
    ("roles", "reason"),
    [((Role.EVALUATOR,), "role"), ((), "role")],
)
async def test_an_unauthorised_command_is_rejected_and_never_reaches_its_handler(
    bench: Bench, token: Token, roles: tuple[Role, ...], reason: str
) -> None:
    reached = []

    async def handler(_tx: Tx, command: WithdrawApplication, _by: By) -> Decision:
        reached.append(command.application_id)
        return refused("reached")

    async with bench.consuming({WithdrawApplication: handler}):
        command = WithdrawApplication(application_id=uuid7())
        outcome = await bench.client.execute(command, actor=token(uuid7(), *roles))
        forged = await bench.client.execute(command, actor=token(uuid7(), Role.PARTICIPANT)[:-6] + "AAAAAA")
    assert [(p.code, p.detail) for p in outcome.problems] == [("not-allowed", {"reason": reason})]
    assert [(p.code, p.detail) for p in forged.problems] == [("not-allowed", {"reason": "token-invalid"})]
    assert command.application_id not in reached


async def test_whatever_is_sent_becomes_an_outcome(bench: Bench) -> None:
    bodies = [b"", b"{", b"null", b'{"data":{}}', b'{"data":{"application_id":"\\u0000"}}', b"\xff\xfe", b"[" * 3000]
    ids = [str(uuid7()) for _ in bodies]
    told = [bench.client.expect(UUID(one))[1] for one in ids]
    bus = await connect(bench.installation.client_settings(), "cli")
    sender = {"Conecta-Client": "cli", "Conecta-Instance": "test"}
    async with bench.consuming({WithdrawApplication: withdraw}):
        await bus.publish("conecta.cmd.aid_calls.no-such-command", b"{}", headers={"Nats-Msg-Id": "no-id"} | sender)
        for body, command_id in zip(bodies, ids, strict=True):
            await bus.publish(WithdrawApplication.subject(), body, headers={"Nats-Msg-Id": command_id} | sender)
        outcomes = await asyncio.wait_for(asyncio.gather(*told), 20)
    await bus.close()
    assert [outcome.status for outcome in outcomes] == [Status.REJECTED] * len(bodies)
    assert all(outcome.problems for outcome in outcomes)
