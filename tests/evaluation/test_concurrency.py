"""Many transactions at once on a real database: never one reviewer too many, one ranking, nothing lost or stuck."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

import asyncpg
import pytest

from services.evaluation import commands
from shared.contracts.aid_calls import CallClosed
from shared.contracts.evaluation import FinaliseRanking, ReviewSubmitted
from shared.db import Tx
from shared.identity import Actor
from shared.messaging import Decision
from tests.evaluation.cast import (
    FAIR,
    GOOD,
    a_closed_call,
    assigned,
    by,
    codes,
    evaluator,
    hear,
    reviewed,
    the_rules,
)
from tests.evaluation.conftest import TABLES

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
T = TypeVar("T")


@pytest.fixture
async def replicas(pool: Pool) -> AsyncIterator[Pool]:
    """Connections of several replicas; what they commit is gone afterwards."""
    yield pool
    async with pool.acquire() as connection, connection.transaction():
        for table in TABLES:
            await connection.execute(f"delete from evaluation.{table}")


async def committed(pool: Pool, work: Callable[[Tx], Awaitable[T]]) -> T:
    """One transaction as the consumer runs it, but that a deadlock is not forgiven."""
    async with pool.acquire() as connection, connection.transaction():
        return await work(connection)


async def give(pool: Pool, call_id: UUID, *keys: UUID, jury: Sequence[Actor]) -> list[Decision]:
    """Applications are given to each of the jury, at once, in a transaction for each."""

    def to(member: Actor) -> Callable[[Tx], Awaitable[Decision]]:
        return lambda tx: assigned(tx, call_id, member, *keys)

    return await asyncio.gather(*(committed(pool, to(member)) for member in jury))


async def review(pool: Pool, *batches: Sequence[tuple[Actor, UUID, Any]]) -> Sequence[Sequence[Decision]]:
    """Batches of reviews, at once, in a transaction for each."""

    def take(batch: Sequence[tuple[Actor, UUID, Any]]) -> Callable[[Tx], Awaitable[Sequence[Decision]]]:
        return lambda tx: reviewed(tx, *batch)

    return await asyncio.gather(*(committed(pool, take(batch)) for batch in batches))


async def test_evaluators_given_the_same_application_at_once_are_never_more_than_it_needs(replicas: Pool) -> None:
    call_id, keys = await committed(replicas, lambda tx: a_closed_call(tx, applications=3))
    decisions = await give(replicas, call_id, *keys, jury=[evaluator() for _ in range(8)])
    assert sorted(len(decision.problems) for decision in decisions) == [0, 0, 3, 3, 3, 3, 3, 3]
    assert await replicas.fetchval("select count(*) from evaluation.assignments") == 6


async def test_reviews_of_one_application_sent_at_once_count_up_one_by_one(replicas: Pool) -> None:
    size = 6
    call_id, keys = await committed(replicas, lambda tx: a_closed_call(tx, applications=4, reviews_required=size))
    jury = [evaluator() for _ in range(size)]
    await give(replicas, call_id, *keys, jury=jury)
    orders = [keys, list(reversed(keys))] * (size // 2)  # batches that meet from both ends
    decisions = await review(
        replicas, *([(member, key, GOOD) for key in order] for member, order in zip(jury, orders, strict=True))
    )
    facts = [fact for some in decisions for decision in some for fact in decision.facts]
    told = sorted(
        (fact.application_id, fact.version, fact.reviews) for fact in facts if isinstance(fact, ReviewSubmitted)
    )
    assert told == [(key, number, number) for key in sorted(keys) for number in range(1, size + 1)]


async def test_batches_about_two_calls_in_opposite_order_do_not_block_each_other(replicas: Pool) -> None:
    calls = [await committed(replicas, a_closed_call) for _ in range(2)]
    jury = [evaluator(), evaluator()]
    for call_id, keys in calls:
        await give(replicas, call_id, *keys, jury=jury)
    keys = [key for _, (key,) in calls]
    async with asyncio.timeout(10):
        decisions = await review(
            replicas,
            [(jury[0], key, GOOD) for key in keys],
            [(jury[1], key, FAIR) for key in reversed(keys)],
        )
    assert [[decision.problems for decision in some] for some in decisions] == [[(), ()], [(), ()]]


async def test_a_call_ranked_by_several_at_once_is_ranked_once(replicas: Pool) -> None:
    call_id, _ = await committed(replicas, lambda tx: a_closed_call(tx, applications=0))

    async def rank(tx: Tx) -> Decision:
        return await commands.finalise_ranking(tx, FinaliseRanking(call_id=call_id), by())

    decisions = await asyncio.gather(*(committed(replicas, rank) for _ in range(6)))
    assert sorted(codes(decision) for decision in decisions) == [[], *[[("already-finalised", "call_id")]] * 5]


async def test_a_ranking_that_waits_for_the_last_review_finds_it(replicas: Pool) -> None:
    call_id, (key,) = await committed(replicas, a_closed_call)
    one, two = evaluator(), evaluator()
    await give(replicas, call_id, key, jury=[one, two])
    await review(replicas, [(one, key, GOOD)])
    async with replicas.acquire() as first, replicas.acquire() as second:
        async with first.transaction():
            await reviewed(first, (two, key, FAIR))
            ranking = asyncio.create_task(_rank(second, call_id))
            await _waits_for_a_lock(replicas, second)
        decision = await ranking
    assert decision.problems == ()


async def _rank(connection: Any, call_id: UUID) -> Decision:
    async with connection.transaction():
        return await commands.finalise_ranking(connection, FinaliseRanking(call_id=call_id), by())


async def _waits_for_a_lock(pool: Pool, connection: Any) -> None:
    blocking, process = "select pg_blocking_pids($1)", connection.get_server_pid()
    async with asyncio.timeout(10):
        while not await pool.fetchval(blocking, process):  # noqa: ASYNC110 — the server tells no event
            await asyncio.sleep(0.01)


async def test_facts_about_a_call_that_come_while_its_panel_is_locked_wait_and_are_kept(replicas: Pool) -> None:
    rules = the_rules()
    call_id, _ = await committed(replicas, lambda tx: a_closed_call(tx, applications=0, call_id=rules["call_id"]))
    async with replicas.acquire() as first, replicas.acquire() as second:
        async with first.transaction():
            await commands.finalise_ranking(first, FinaliseRanking(call_id=call_id), by())
            hearing = asyncio.create_task(hear(second, [CallClosed(**rules, version=9)]))
            await _waits_for_a_lock(replicas, second)
        await hearing
    assert await replicas.fetchval("select version from evaluation.calls where call_id = $1", call_id) == 9
