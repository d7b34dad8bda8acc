"""The relay on real servers: late commits, a death between publishing and noting it, two at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from shared.contracts import Fact
from shared.contracts.aid_calls import ApplicationWithdrawn
from shared.journal import Entry
from shared.messaging.following import Followed
from shared.relay import Relay
from tests.shared.conftest import Bench
from tests.shared.test_commands import withdrawn


@asynccontextmanager
async def relaying(bench: Bench, kind: type[Relay] = Relay) -> AsyncIterator[Relay]:
    relay = kind(schema="aid_calls", database=bench.database, publisher=bench.publisher)
    task = asyncio.create_task(relay.run())
    try:
        yield relay
    finally:
        relay.stop()
        await asyncio.wait_for(task, 20)


async def facts_within(bench: Bench, call_id: UUID, number: int, *, after: int = 0) -> list[Followed]:
    """The first facts of one call, as a client follows them."""
    found: list[Followed] = []
    subject = f"conecta.evt.aid_calls.*.{call_id}"
    async with asyncio.timeout(20), aclosing(bench.client.follow(subject=subject, after=after)) as facts:
        async for followed in facts:
            found.append(followed)
            if len(found) == number:
                break
    return found


def of_call(call_id: UUID, number: int) -> list[ApplicationWithdrawn]:
    return [
        withdrawn(uuid7(), uuid7()).model_copy(update={"call_id": call_id, "version": n + 1}) for n in range(number)
    ]


async def append(bench: Bench, facts: Sequence[Fact]) -> None:
    async with bench.database.transaction() as tx:
        await bench.journal.append(tx, [Entry(fact, None) for fact in facts])


async def test_facts_are_published_in_the_order_of_the_journal(bench: Bench) -> None:
    call_id = uuid7()
    facts = of_call(call_id, 1200)
    async with relaying(bench):
        await append(bench, facts)
        found = await facts_within(bench, call_id, 1200)
    assert [followed.fact for followed in found] == facts


async def test_a_transaction_that_commits_late_is_published_late_not_lost(bench: Bench) -> None:
    call_id = uuid7()
    early, late = of_call(call_id, 2)
    async with relaying(bench):
        async with bench.database.transaction() as tx:
            await bench.journal.append(tx, [Entry(early, None)])  # the lower position
            await append(bench, [late])
            assert [one.fact for one in await facts_within(bench, call_id, 1)] == [late]
        found = await facts_within(bench, call_id, 2)
    assert [one.fact for one in found] == [late, early]


async def test_a_relay_that_dies_between_publishing_and_noting_it_repeats_nothing_visible(bench: Bench) -> None:
    class Dies(Relay):
        async def _forget(self, _connection: asyncpg.Connection, positions: Sequence[int]) -> None:
            if positions:
                raise SystemError("killed here")

    call_id = uuid7()
    facts = of_call(call_id, 50)
    relay = Dies(schema="aid_calls", database=bench.database, publisher=bench.publisher)
    task = asyncio.create_task(relay.run())
    await append(bench, facts)
    assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], SystemError)
    published = await facts_within(bench, call_id, 50)
    last = of_call(call_id, 1)
    async with relaying(bench):
        await append(bench, last)
        found = await facts_within(bench, call_id, 51)
    assert [one.fact for one in found] == [*facts, *last]
    assert found[:50] == published


async def test_of_two_relays_one_leads_and_the_other_takes_over(bench: Bench) -> None:
    call_id = uuid7()
    first, second = of_call(call_id, 2)
    async with relaying(bench) as leader, relaying(bench):
        await append(bench, [first])
        assert [one.fact for one in await facts_within(bench, call_id, 1)] == [first]
        leader.stop()
        await append(bench, [second])
        found = await facts_within(bench, call_id, 2)
    assert [one.fact for one in found] == [first, second]
