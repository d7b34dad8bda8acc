"""Many transactions at once on a real database: exact capacity, the waitlist in order, one person once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TypeAlias
from uuid import UUID

from uuid_utils.compat import uuid7

from services.registration import commands
from shared.contracts import Fact, Record
from shared.contracts.people import Document, DocumentType, PersonDetails
from shared.contracts.registration import (
    RegisterParticipant,
    RegistrationCancelled,
    RegistrationConfirmed,
    RegistrationPromoted,
    RegistrationWaitlisted,
)
from shared.db import Retry, Tx
from shared.messaging import Decision, Sender
from tests.registration.cast import NOW, a_meeting, a_place, by, known_as, no_place, organiser, published, rosa, sent
from tests.registration.conftest import Pool

TEAM = organiser()
About: TypeAlias = RegistrationConfirmed | RegistrationWaitlisted | RegistrationPromoted | RegistrationCancelled


def somebody() -> PersonDetails:
    """A person whom no other test knows."""
    name = uuid7().hex
    document = Document(type=DocumentType.PASSPORT, number=name[-20:].upper())
    return rosa(document=document, email=f"{name}@example.org")


async def committed(pool: Pool, work: Callable[[Tx], Awaitable[Sequence[Decision]]]) -> Sequence[Decision]:
    """One transaction as the consumer runs it: tried again when another was quicker, and only then."""
    while True:
        try:
            async with pool.acquire() as connection, connection.transaction():
                return await work(connection)
        except Retry:
            continue


def facts(decisions: Sequence[Sequence[Decision]]) -> list[Fact | Record]:
    """All facts of all transactions."""
    return [fact for some in decisions for decision in some for fact in decision.facts]


async def the_meeting(pool: Pool, capacity: int) -> UUID:
    """A published meeting, committed."""
    command = a_meeting(capacity=capacity)

    async def publish(tx: Tx) -> Sequence[Decision]:
        drafted = await commands.create_meeting(tx, command, by(TEAM))
        return [drafted, await commands.publish_meeting(tx, published(command.meeting_id), by(TEAM))]

    decisions = await committed(pool, publish)
    assert [decision.problems for decision in decisions] == [(), ()]
    return command.meeting_id


async def places(pool: Pool, senders: Sequence[Sender[RegisterParticipant]]) -> Sequence[Decision]:
    """A batch that asks for places, in a transaction of its own."""
    return await committed(pool, lambda tx: commands.register_participants(tx, senders))


async def cancelled(pool: Pool, registration_id: UUID) -> Sequence[Decision]:
    """A registration given up, in a transaction of its own."""

    async def give_up(tx: Tx) -> Sequence[Decision]:
        return [await commands.cancel_registration(tx, no_place(registration_id), by(TEAM))]

    return await committed(pool, give_up)


def asking(*meetings: UUID, number: int) -> list[Sender[RegisterParticipant]]:
    """Commands for a place at each of the meetings, one accepted every second."""
    return [
        sent(a_place(meeting_id, somebody()), TEAM, NOW + timedelta(seconds=second))
        for second in range(number)
        for meeting_id in meetings
    ]


def shuffled_batches(
    senders: Sequence[Sender[RegisterParticipant]], *, seed: int
) -> list[list[Sender[RegisterParticipant]]]:
    """Batches of one to four, in any order: several replicas are at work."""
    chance = random.Random(seed)  # noqa: S311 — an order, no secret
    left, batches = chance.sample(list(senders), len(senders)), []
    while left:
        size = chance.randint(1, 4)
        batches.append(left[:size])
        left = left[size:]
    return batches


async def line(pool: Pool, meeting_id: UUID, state: str) -> list[UUID]:
    """Who is in this state, in the order of the line."""
    rows = await pool.fetch(
        """
        select registration_id from registration.registrations
         where meeting_id = $1 and state = $2 order by accepted_at, number
        """,
        meeting_id,
        state,
    )
    return [row["registration_id"] for row in rows]


async def counters(pool: Pool, meeting_id: UUID) -> tuple[int, ...]:
    """Places given out, people waiting, acceptances."""
    row = await pool.fetchrow(
        "select confirmed, waitlisted, accepted from registration.meetings where meeting_id = $1", meeting_id
    )
    assert row is not None
    return tuple(row)


async def test_as_many_as_there_are_places_are_confirmed_and_the_rest_waits_in_order_of_acceptance(
    pool: Pool,
) -> None:
    meeting_id = await the_meeting(pool, capacity=13)
    senders = asking(meeting_id, number=90)
    decisions = await asyncio.gather(*(places(pool, batch) for batch in shuffled_batches(senders, seed=1)))
    confirmed, waiting = [await line(pool, meeting_id, state) for state in ("confirmed", "waitlisted")]
    assert (len(confirmed), len(waiting)) == (13, 77)
    assert await counters(pool, meeting_id) == (13, 77, 90)
    in_order_of_acceptance = [sender.command.registration_id for sender in senders]
    assert waiting == [key for key in in_order_of_acceptance if key not in confirmed]
    told = facts(decisions)
    assert {one.registration_id for one in told if isinstance(one, RegistrationConfirmed)} == set(confirmed)
    assert {one.registration_id for one in told if isinstance(one, RegistrationWaitlisted)} == set(waiting)


async def test_batches_for_the_same_meetings_in_opposite_order_do_not_block_each_other(pool: Pool) -> None:
    meetings = sorted([await the_meeting(pool, capacity=5) for _ in range(3)])
    forth, back = asking(*meetings, number=30), asking(*reversed(meetings), number=30)
    batches = [senders[start : start + 3] for start in range(0, 90, 3) for senders in (forth, back)]
    await asyncio.gather(*(places(pool, batch) for batch in batches))
    assert [await counters(pool, meeting_id) for meeting_id in meetings] == [(5, 55, 60)] * 3


async def test_freed_places_go_to_the_line_while_others_register(pool: Pool) -> None:
    meeting_id = await the_meeting(pool, capacity=10)
    early, late = asking(meeting_id, number=40), asking(meeting_id, number=40)
    first = await asyncio.gather(*(places(pool, batch) for batch in shuffled_batches(early, seed=2)))
    leaving = [sender.command.registration_id for sender in early[5:30]]
    then = await asyncio.gather(
        *(places(pool, batch) for batch in shuffled_batches(late, seed=4)),
        *(cancelled(pool, registration_id) for registration_id in leaving),
    )
    assert await counters(pool, meeting_id) == (10, 45, 80)
    confirmed, waiting = [await line(pool, meeting_id, state) for state in ("confirmed", "waitlisted")]
    assert (len(confirmed), len(waiting), sorted(await line(pool, meeting_id, "cancelled"))) == (
        10,
        45,
        sorted(leaving),
    )
    told = facts([*first, *then])
    versions = sorted((one.registration_id, one.version) for one in told if isinstance(one, About))
    rows = await pool.fetch(
        "select registration_id, version from registration.registrations where meeting_id = $1", meeting_id
    )
    assert versions == sorted((row["registration_id"], n) for row in rows for n in range(1, row["version"] + 1))
    gone = {one.registration_id for one in told if isinstance(one, RegistrationCancelled)}
    with_a_place = {
        one.registration_id for one in told if isinstance(one, RegistrationConfirmed | RegistrationPromoted)
    }
    assert with_a_place - gone == set(confirmed)


async def test_cancelling_everybody_at_once_empties_the_meeting(pool: Pool) -> None:
    meeting_id = await the_meeting(pool, capacity=5)
    senders = asking(meeting_id, number=30)
    await places(pool, senders)
    decisions = await asyncio.gather(*(cancelled(pool, sender.command.registration_id) for sender in senders))
    assert await counters(pool, meeting_id) == (0, 0, 30)
    assert sum(isinstance(fact, RegistrationCancelled) for fact in facts(decisions)) == 30


async def test_one_person_made_known_by_many_at_once_is_one_person(pool: Pool) -> None:
    details, others = somebody(), [somebody() for _ in range(12)]

    async def known(other: PersonDetails) -> Sequence[Decision]:
        senders = [sent(known_as(one), TEAM) for one in (other, details)]
        return await committed(pool, lambda tx: commands.register_people(tx, senders))

    decisions = await asyncio.gather(*(known(other) for other in others))
    assert len({(some[1].ids or {})["person_id"] for some in decisions}) == 1
    assert len(facts(decisions)) == len(others) + 1


async def test_an_email_given_by_many_at_once_is_flagged_for_all_but_the_first(pool: Pool) -> None:
    email = f"{uuid7().hex}@example.org"
    people = [somebody().model_copy(update={"email": email}) for _ in range(12)]

    async def known(details: PersonDetails) -> Sequence[Decision]:
        return await committed(pool, lambda tx: commands.register_people(tx, [sent(known_as(details), TEAM)]))

    decisions = await asyncio.gather(*(known(details) for details in people))
    ids = {UUID((some[0].ids or {})["person_id"]) for some in decisions}
    first = await pool.fetchval("select person_id from registration.contacts where value = $1", email)
    rows = await pool.fetch("select person_id from registration.flags where shared_with = $1", first)
    assert {row["person_id"] for row in rows} == ids - {first}
    assert len(ids) == 12
