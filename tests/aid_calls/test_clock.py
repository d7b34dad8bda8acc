"""What happens by the clock, on a real database: opening, closing, rulings; with several replicas at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from services.aid_calls import commands, store
from shared.contracts import Fact
from shared.contracts.aid_calls import (
    ApplicationRuledEligible,
    ApplicationRuledIneligible,
    CallClosed,
    CallOpened,
    CallRules,
    CreateCall,
)
from shared.db import Tx
from tests.aid_calls.cast import (
    AFTER,
    CLOSES_AT,
    NOW,
    OPENS_AT,
    TEAM,
    a_call,
    an_application,
    applied_to,
    by,
    call_state,
    closed_and_ruled,
    entered,
    participant,
    sent,
    states,
    withdrawal,
)
from tests.aid_calls.conftest import Pool

MICROSECOND = timedelta(microseconds=1)


def state_of(command: CreateCall) -> dict[str, Any]:
    """What every fact about a call carries."""
    rules = CallRules.model_validate(command.model_dump(exclude={"call_id"}))
    return {"call_id": command.call_id, **dict(rules)}


async def test_a_call_opens_and_closes_by_the_clock_once_each(tx: Tx) -> None:
    command = a_call()
    await commands.create_call(tx, command, by(TEAM))
    ticks = (OPENS_AT - MICROSECOND, OPENS_AT, NOW, CLOSES_AT, CLOSES_AT + MICROSECOND, AFTER)
    told = [list(await commands.open_and_close_calls(tx, at)) for at in ticks]
    state = state_of(command)
    assert told == [[], [CallOpened(**state, version=2)], [], [], [CallClosed(**state, version=3)], []]
    assert await call_state(tx, command.call_id) == ("closed", 3, 0)


async def test_a_call_whose_time_was_over_while_the_service_was_down_opens_and_closes_at_once(tx: Tx) -> None:
    command = a_call()
    await commands.create_call(tx, command, by(TEAM))
    state = state_of(command)
    assert await commands.open_and_close_calls(tx, AFTER) == [
        CallOpened(**state, version=2),
        CallClosed(**state, version=3),
    ]


async def test_only_what_is_due_opens_and_closes(tx: Tx) -> None:
    due, later, closing = a_call(), a_call(opens_at=NOW + MICROSECOND), a_call(closes_at=NOW - MICROSECOND)
    for command in (due, later, closing):
        await commands.create_call(tx, command, by(TEAM))
    facts = await commands.open_and_close_calls(tx, NOW)
    assert sorted((fact.name, fact.call_id) for fact in facts if isinstance(fact, CallOpened | CallClosed)) == sorted(
        [("call-opened", due.call_id), ("call-opened", closing.call_id), ("call-closed", closing.call_id)]
    )
    assert (await call_state(tx, later.call_id))[0] == "draft"


async def test_nothing_is_ruled_on_while_a_call_is_open(tx: Tx) -> None:
    call_id = await entered(tx)
    await applied_to(tx, call_id, {}, {"region": "08"})
    assert list(await commands.rule_on_applications(tx, CLOSES_AT)) == []


async def test_the_applications_to_a_closed_call_are_ruled_on_once_with_every_reason(tx: Tx) -> None:
    call_id = await entered(tx)
    good, bad = await applied_to(tx, call_id, {}, {"region": "08", "birth": "2010-01-01"})
    rulings = {fact.application_id: fact for fact in await closed_and_ruled(tx) if isinstance(fact, Ruling)}
    assert list(await commands.rule_on_applications(tx, AFTER)) == []
    assert (type(rulings[good.application_id]), rulings[good.application_id].version) == (ApplicationRuledEligible, 2)
    refused = rulings[bad.application_id]
    assert isinstance(refused, ApplicationRuledIneligible)
    assert (refused.reasons, refused.version) == (("resides-in-host-region", "under-18"), 2)
    assert await states(tx, call_id) == {
        good.application_id: ("eligible", 2),
        bad.application_id: ("ineligible", 2),
    }
    kept = await tx.fetch("select reasons from aid_calls.applications where call_id = $1 order by state", call_id)
    assert [row["reasons"] for row in kept] == [[], ["resides-in-host-region", "under-18"]]


Ruling = ApplicationRuledEligible | ApplicationRuledIneligible


async def test_what_was_withdrawn_is_not_ruled_on(tx: Tx) -> None:
    call_id, rosa = await entered(tx), participant()
    command = an_application(call_id)
    await commands.submit_applications(tx, [sent(command, rosa)])
    await commands.withdraw_application(tx, withdrawal(command.application_id), by(rosa))
    assert list(await closed_and_ruled(tx)) == []


async def test_an_application_in_time_that_is_carried_out_after_the_closing_is_ruled_on(tx: Tx) -> None:
    call_id = await entered(tx)
    await closed_and_ruled(tx)
    command = an_application(call_id)
    await commands.submit_applications(tx, [sent(command, participant(), CLOSES_AT)])
    (fact,) = await commands.rule_on_applications(tx, AFTER)
    assert isinstance(fact, ApplicationRuledEligible)
    assert await states(tx, call_id) == {command.application_id: ("eligible", 2)}


async def test_many_are_ruled_on_a_thousand_at_a_time(tx: Tx) -> None:
    call_id = await entered(tx)
    await applied_to(tx, call_id, *[{} for _ in range(1001)])
    first = await closed_and_ruled(tx)
    numbers = [len(first), *[len(await commands.rule_on_applications(tx, AFTER)) for _ in range(2)]]
    assert numbers == [1000, 1, 0]


@pytest.fixture
async def a_committed_call(pool: Pool) -> AsyncIterator[UUID]:
    """A draft that everybody sees, removed at the end with all its applications."""
    command = a_call()
    async with pool.acquire() as connection:
        await commands.create_call(connection, command, by(TEAM))
        yield command.call_id
        await connection.execute("delete from aid_calls.applications where call_id = $1", command.call_id)
        await connection.execute("delete from aid_calls.calls where call_id = $1", command.call_id)


@pytest.fixture
async def two(pool: Pool, a_committed_call: UUID) -> AsyncIterator[tuple[Tx, Tx]]:
    """Two replicas' transactions over that call; nothing that they do stays."""
    del a_committed_call  # it is removed only after these have let go of it
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(pool.acquire()) for _ in range(2)]
        transactions = [connection.transaction() for connection in connections]
        for transaction in transactions:
            await transaction.start()
        yield connections[0], connections[1]
        for transaction in transactions:
            await transaction.rollback()


def about(call_id: UUID, facts: Any) -> list[Fact]:
    """The facts about one call: the database may hold others' too."""
    return [fact for fact in facts if fact.call_id == call_id]


async def test_of_two_replicas_at_once_one_opens_the_call_and_neither_waits(
    two: tuple[Tx, Tx], a_committed_call: UUID
) -> None:
    first, second = two
    async with asyncio.timeout(5):
        told = [about(a_committed_call, await commands.open_and_close_calls(one, NOW)) for one in (first, second)]
    assert [[fact.name for fact in facts] for facts in told] == [["call-opened"], []]


async def test_a_batch_of_applications_under_way_does_not_keep_the_clock_from_opening_and_closing(
    two: tuple[Tx, Tx], a_committed_call: UUID
) -> None:
    applying, clock = two
    (decision,) = await commands.submit_applications(applying, [sent(an_application(a_committed_call), participant())])
    assert decision.problems == ()
    async with asyncio.timeout(5):
        facts = about(a_committed_call, await commands.open_and_close_calls(clock, AFTER))
    assert [fact.name for fact in facts] == ["call-opened", "call-closed"]


async def test_two_replicas_share_the_rulings(pool: Pool, two: tuple[Tx, Tx], a_committed_call: UUID) -> None:
    async with pool.acquire() as connection:
        await applied_to(connection, a_committed_call, *[{} for _ in range(5)])
        await commands.open_and_close_calls(connection, AFTER)
    first, second = two
    some = await store.undecided_applications(first, limit=3)
    rest = about(a_committed_call, await commands.rule_on_applications(second, AFTER))
    mine = [one.application_id for one in some if one.call_id == a_committed_call]
    ruled = [fact.application_id for fact in rest if isinstance(fact, Ruling)]
    assert (len(ruled), len({*mine, *ruled})) == (5 - len(mine), 5)
