"""Many transactions at once on a real database: one application per person, one allocation, no deadlock."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

import pytest

from services.aid_calls import commands
from shared.contracts.aid_calls import (
    AidAwarded,
    ApplicationSubmitted,
    ApplicationWithdrawn,
    CreateCall,
    SubmitApplication,
)
from shared.db import Retry, Tx
from shared.messaging import Decision, Sender
from tests.aid_calls.cast import (
    AFTER,
    NOW,
    TEAM,
    a_call,
    a_ranking,
    an_application,
    by,
    call_state,
    codes,
    heard,
    participant,
    sent,
    states,
    withdrawal,
)
from tests.aid_calls.conftest import Pool

T = TypeVar("T")
Batch = Sequence[Sender[SubmitApplication]]


async def committed(pool: Pool, work: Callable[[Tx], Awaitable[T]]) -> T:
    """One transaction as the consumer runs it: tried again when another was quicker, and only then."""
    while True:
        try:
            async with pool.acquire() as connection, connection.transaction():
                return await work(connection)
        except Retry:
            continue


@pytest.fixture
async def call_id(pool: Pool) -> AsyncIterator[UUID]:
    """An open call that everybody sees, removed at the end with all its applications."""
    command = a_call()
    await committed(pool, lambda tx: commands.create_call(tx, command, by(TEAM)))
    await committed(pool, lambda tx: commands.open_and_close_calls(tx, NOW))
    yield command.call_id
    async with pool.acquire() as connection:
        await connection.execute("delete from aid_calls.applications where call_id = $1", command.call_id)
        await connection.execute("delete from aid_calls.calls where call_id = $1", command.call_id)


async def submitted(pool: Pool, batch: Batch) -> Sequence[Decision]:
    """A batch of applications, in a transaction of its own."""
    return await committed(pool, lambda tx: commands.submit_applications(tx, batch))


async def ruled(pool: Pool) -> None:
    """The clock has closed the call and everybody is ruled on."""
    await committed(pool, lambda tx: commands.open_and_close_calls(tx, AFTER))
    await committed(pool, lambda tx: commands.rule_on_applications(tx, AFTER))


async def test_one_application_per_person_however_many_replicas_take_the_same_people_in_any_order(
    pool: Pool, call_id: UUID
) -> None:
    people = [participant() for _ in range(300)]
    chance = random.Random(7)  # noqa: S311 — an order, no secret
    batches = []
    for _ in range(8):
        who = chance.sample(people, len(people))
        batches.append([sent(an_application(call_id), one, NOW + timedelta(seconds=n)) for n, one in enumerate(who)])
    async with asyncio.timeout(20):
        decisions = await asyncio.gather(*(submitted(pool, batch) for batch in batches))
    facts = [fact for some in decisions for one in some for fact in one.facts]
    applied = [fact for fact in facts if isinstance(fact, ApplicationSubmitted)]
    assert sorted(fact.person_id for fact in applied) == sorted(one.person_id for one in people)
    refused = [codes(one) for some in decisions for one in some if not one.facts]
    assert refused == [[("already-applied", "call_id")]] * (7 * 300)
    assert await states(pool_tx(pool), call_id) == {fact.application_id: ("submitted", 1) for fact in applied}


def pool_tx(pool: Pool) -> Tx:
    """The pool itself, where one statement on any connection will do."""
    return pool  # type: ignore[return-value]


async def waiting_for_a_lock(pool: Pool) -> None:
    """Until some transaction of ours waits for another."""
    waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and usename = current_user"
    async with asyncio.timeout(5):
        while not await pool.fetchval(waiting):  # noqa: ASYNC110 — PostgreSQL's state, which sets no event
            await asyncio.sleep(0.01)


async def test_a_call_is_entered_once_by_two_replicas(pool: Pool, call_id: UUID) -> None:
    del call_id
    command = a_call()
    other = a_call(code=command.code)

    async def created(one: CreateCall) -> Decision:
        return await committed(pool, lambda tx: commands.create_call(tx, one, by(TEAM)))

    decisions = await asyncio.gather(created(command), created(other))
    kept = await pool.fetch("delete from aid_calls.calls where code = $1 returning call_id", command.code)
    assert len(kept) == 1
    assert sorted(map(codes, decisions)) == [[], [("code-taken", "code")]]


async def test_a_fund_is_allocated_once_by_many_replicas(pool: Pool, call_id: UUID) -> None:
    applications = [an_application(call_id) for _ in range(20)]
    await submitted(pool, [sent(one, participant()) for one in applications])
    await ruled(pool)
    ranking = a_ranking(call_id, *((one.application_id, "90") for one in applications))
    told = await asyncio.gather(*(committed(pool, lambda tx: heard(tx, ranking)) for _ in range(6)))
    assert sorted(len(facts) for facts in told) == [0, 0, 0, 0, 0, 21]
    awarded = [fact for facts in told for fact in facts if isinstance(fact, AidAwarded)]
    assert len(awarded) == 5  # 3000 ÷ 520
    assert (await call_state(pool_tx(pool), call_id))[2] == sum(fact.amount for fact in awarded)


async def test_withdrawing_while_the_fund_is_allocated_ends_either_way_and_never_in_both(
    pool: Pool, call_id: UUID
) -> None:
    people = [participant() for _ in range(20)]
    applications = [an_application(call_id, requested="10") for _ in people]
    await submitted(pool, [sent(*pair) for pair in zip(applications, people, strict=True)])
    await ruled(pool)
    keys = [one.application_id for one in applications]
    ranking = a_ranking(call_id, *((key, "90") for key in keys))

    async def withdrawn(key: UUID, who: UUID) -> Decision:
        return await committed(
            pool, lambda tx: commands.withdraw_application(tx, withdrawal(key), by(participant(who)))
        )

    leaving = [withdrawn(key, one.person_id) for key, one in zip(keys, people, strict=True)]
    told, results = await asyncio.gather(asyncio.gather(*leaving), committed(pool, lambda tx: heard(tx, ranking)))
    gone = {fact.application_id for one in told for fact in one.facts if isinstance(fact, ApplicationWithdrawn)}
    awarded = {fact.application_id for fact in results if isinstance(fact, AidAwarded)}
    assert (gone | awarded, gone & awarded) == (set(keys), set())
    kept = await states(pool_tx(pool), call_id)
    assert {key for key, (state, _) in kept.items() if state == "withdrawn"} == gone
    assert {key for key, (state, _) in kept.items() if state == "awarded"} == awarded


async def test_nobody_is_accepted_behind_an_allocation_that_is_under_way(pool: Pool, call_id: UUID) -> None:
    await ruled(pool)
    command = an_application(call_id)
    async with AsyncExitStack() as stack:
        allocating = await stack.enter_async_context(pool.acquire())
        await stack.enter_async_context(allocating.transaction())
        await heard(allocating, a_ranking(call_id))
        applying = asyncio.create_task(submitted(pool, [sent(command, participant())]))
        await waiting_for_a_lock(pool)
    (decision,) = await asyncio.wait_for(applying, 5)
    assert codes(decision) == [("results-published", "call_id")]
    assert await states(pool_tx(pool), call_id) == {}


async def test_an_allocation_waits_for_those_being_accepted_and_rules_on_them(pool: Pool, call_id: UUID) -> None:
    await ruled(pool)
    command = an_application(call_id)
    async with AsyncExitStack() as stack:
        applying = await stack.enter_async_context(pool.acquire())
        await stack.enter_async_context(applying.transaction())
        await commands.submit_applications(applying, [sent(command, participant())])
        allocating = asyncio.create_task(committed(pool, lambda tx: heard(tx, a_ranking(call_id))))
        await waiting_for_a_lock(pool)
    facts = await asyncio.wait_for(allocating, 5)
    assert [fact.name for fact in facts] == ["application-ruled-eligible", "call-results-published"]
    assert await states(pool_tx(pool), call_id) == {command.application_id: ("eligible", 2)}
