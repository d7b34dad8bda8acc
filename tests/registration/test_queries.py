"""What registration answers, from a real database."""

from __future__ import annotations

from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from services.registration import commands, queries
from shared.contracts.people import Document, Role, Sector
from shared.contracts.registration import (
    FindPerson,
    Meeting,
    MeetingAnswer,
    MeetingState,
    PersonFound,
    RegistrationCounts,
    RegistrationCountsAnswer,
)
from shared.db import Tx
from shared.identity import Actor
from shared.messaging import QuestionRefused
from tests.registration.cast import (
    a_meeting,
    a_place,
    by,
    known_as,
    no_place,
    organiser,
    participant,
    published,
    rosa,
    sent,
)

TEAM = organiser()
OPERATOR = Actor(uuid7(), frozenset({Role.OPERATOR}))


async def test_a_draft_is_seen_by_the_team_only_and_a_published_meeting_by_everybody(tx: Tx) -> None:
    command = a_meeting(venue="Casa Garcilaso")
    state = dict(MeetingState(**dict(command)))
    await commands.create_meeting(tx, command, by(TEAM))
    question = Meeting(code=command.code)
    draft = MeetingAnswer(**state, state="draft", confirmed=0, waitlisted=0)
    assert [await queries.meeting(tx, question, actor) for actor in (TEAM, OPERATOR)] == [draft, draft]
    for actor in (None, participant()):
        with pytest.raises(QuestionRefused, match="no-such-meeting"):
            await queries.meeting(tx, question, actor)
    await commands.publish_meeting(tx, published(command.meeting_id), by(TEAM))
    answer = draft.model_copy(update={"state": "published"})
    assert [await queries.meeting(tx, question, actor) for actor in (None, participant())] == [answer, answer]


async def test_there_may_be_no_meeting_of_that_code(tx: Tx) -> None:
    with pytest.raises(QuestionRefused, match="no-such-meeting"):
        await queries.meeting(tx, Meeting(code="NO-SUCH"), TEAM)


async def test_a_person_is_found_by_document(tx: Tx) -> None:
    command = known_as(rosa(7))
    await commands.register_people(tx, [sent(command, TEAM)])
    found = [await queries.find_person(tx, FindPerson(document=Document(number=n)), TEAM) for n in ("7", "8")]
    assert found == [PersonFound(person_id=command.person_id), PersonFound(person_id=None)]


async def counted(tx: Tx, meeting_id: UUID) -> RegistrationCountsAnswer:
    return await queries.counts(tx, RegistrationCounts(meeting_id=meeting_id), TEAM)


async def test_registrations_are_counted_by_state_region_and_sector(tx: Tx) -> None:
    meeting, other = a_meeting(capacity=2), a_meeting()
    for command in (meeting, other):
        await commands.create_meeting(tx, command, by(TEAM))
        await commands.publish_meeting(tx, published(command.meeting_id), by(TEAM))
    empty = RegistrationCountsAnswer(confirmed=0, waitlisted=0, cancelled=0, people=0, by_region={}, by_sector={})
    assert await counted(tx, meeting.meeting_id) == empty
    people = [
        rosa(1),
        rosa(2, region="15", sector=Sector.DESIGN),
        rosa(3, region=None, sector=None),
        rosa(4),
        rosa(5, region="21"),
    ]
    senders = [sent(a_place(meeting.meeting_id, details), TEAM) for details in people]
    await commands.register_participants(tx, senders)
    await commands.register_participants(tx, [sent(a_place(other.meeting_id, rosa(9)), TEAM)])
    await commands.cancel_registration(tx, no_place(senders[4].command.registration_id), by(TEAM))
    assert await counted(tx, meeting.meeting_id) == RegistrationCountsAnswer(
        confirmed=2,
        waitlisted=2,
        cancelled=1,
        people=4,
        by_region={"08": 2, "15": 1},
        by_sector={"music": 2, "design": 1},
    )
    asked = await queries.meeting(tx, Meeting(code=meeting.code), None)
    assert (asked.confirmed, asked.waitlisted) == (2, 2)


async def test_nothing_is_counted_for_a_meeting_that_does_not_exist(tx: Tx) -> None:
    with pytest.raises(QuestionRefused, match="no-such-meeting"):
        await counted(tx, uuid7())


async def test_the_relay_finds_the_current_record_of_everybody_at_once(tx: Tx) -> None:
    senders = [sent(known_as(rosa(number)), TEAM) for number in range(1, 4)]
    decisions = await commands.register_people(tx, senders)
    records = [fact for decision in decisions for fact in decision.facts]
    assert await queries.current(tx, [record.thing() for record in records]) == {
        record.thing(): record for record in records
    }
