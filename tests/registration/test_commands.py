"""What registration's commands do to a real database: states, facts, and nothing when they are rejected."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from services.registration import commands, queries
from shared.contracts import Fact, Record
from shared.contracts.people import Consent, Document, DocumentType, Gender, PersonDetails, Role, Sector
from shared.contracts.registration import (
    MeetingCreated,
    MeetingPublished,
    MeetingState,
    Person,
    RegisterParticipant,
    RegisterPerson,
    RegistrationCancelled,
    RegistrationConfirmed,
    RegistrationPromoted,
    RegistrationState,
    RegistrationWaitlisted,
)
from shared.db import Tx
from shared.identity import Actor
from shared.messaging import Decision, Sender, refused
from tests.registration.cast import (
    NOW,
    STARTS_AT,
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


def codes(decision: Decision) -> list[tuple[str, str | None]]:
    """What is wrong, and where."""
    return [(problem.code, problem.field) for problem in decision.problems]


def facts(decisions: Sequence[Decision]) -> list[Fact | Record]:
    """All facts, in order."""
    return [fact for decision in decisions for fact in decision.facts]


def person_of(decision: Decision) -> UUID:
    """Who a decision says it is about."""
    return UUID((decision.ids or {})["person_id"])


async def the_meeting(tx: Tx, **changes: Any) -> UUID:
    """A published meeting."""
    command = a_meeting(**changes)
    assert (await commands.create_meeting(tx, command, by(TEAM))).problems == ()
    await commands.publish_meeting(tx, published(command.meeting_id), by(TEAM))
    return command.meeting_id


async def known(tx: Tx, *details: PersonDetails) -> list[UUID]:
    """People that the team has made known, by id."""
    return [person_of(one) for one in await people(tx, *(sent(known_as(one), TEAM) for one in details))]


async def people(tx: Tx, *senders: Sender[RegisterPerson]) -> Sequence[Decision]:
    """Decisions about people."""
    return await commands.register_people(tx, senders)


async def places(tx: Tx, *senders: Sender[RegisterParticipant]) -> Sequence[Decision]:
    """Decisions about places."""
    return await commands.register_participants(tx, senders)


async def count(tx: Tx, table: str) -> int:
    """Rows of one of the service's tables."""
    return int(await tx.fetchval(f"select count(*) from registration.{table}"))


async def test_a_person_is_made_known_with_all_that_they_state(tx: Tx) -> None:
    details = rosa(7, phone="974 009 052", birth="1990-02-28")
    command = known_as(details, roles=frozenset({Role.PARTICIPANT, Role.EVALUATOR}))
    [decision] = await people(tx, sent(command, TEAM))
    record = Person(
        version=1,
        person_id=command.person_id,
        given="Rosa",
        family="Quispe Huamán",
        email="rosa7@example.org",
        region="08",
        sector=Sector.MUSIC,
        roles=command.roles,
    )
    assert decision == Decision(facts=(record,), ids={"person_id": str(command.person_id)})
    assert await queries.current(tx, [str(command.person_id)]) == {str(command.person_id): record}
    row = await tx.fetchrow("select * from registration.people where person_id = $1", command.person_id)
    assert row is not None
    assert (row["document_type"], row["document_number"], row["phone"]) == ("dni", "00000007", "+51974009052")
    assert (row["birth"], row["gender"], row["registered_at"]) == (details.birth, "woman", NOW)


async def test_a_batch_finds_in_itself_whom_it_has_made_known(tx: Tx) -> None:
    first, second = known_as(rosa(7)), known_as(rosa(7, given="Otra"), roles=frozenset({Role.EVALUATOR}))
    decisions = await people(tx, sent(first, TEAM), sent(second, TEAM))
    assert [person_of(one) for one in decisions] == [first.person_id] * 2
    [one, two] = facts(decisions)
    assert (one.version, two.version) == (1, 2)
    [record] = (await queries.current(tx, [str(first.person_id)])).values()
    assert record == two
    assert record.given == "Rosa"


async def test_who_was_accepted_first_stands_although_they_come_last(tx: Tx) -> None:
    late = sent(known_as(rosa(7, given="Segunda")), TEAM, NOW + timedelta(seconds=1))
    early = sent(known_as(rosa(7, given="Primera")), TEAM, NOW)
    decisions = await people(tx, late, early)
    assert [person_of(one) for one in decisions] == [early.command.person_id] * 2
    assert await tx.fetchval("select given from registration.people") == "Primera"


async def test_somebody_known_is_found_and_an_organiser_unites_their_roles(tx: Tx) -> None:
    [person_id] = await known(tx, rosa(7))
    await people(tx, sent(known_as(rosa(7), roles=frozenset({Role.ACCOUNTANT})), TEAM))
    again = known_as(rosa(7, given="Otra"), roles=frozenset({Role.EVALUATOR}))
    [decision] = await people(tx, sent(again, TEAM))
    assert person_of(decision) == person_id
    [record] = decision.facts
    assert (await queries.current(tx, [str(person_id)])) == {str(person_id): record}
    assert record.version == 3
    assert isinstance(record, Person)
    assert (record.given, record.roles) == ("Rosa", frozenset({Role.PARTICIPANT, Role.ACCOUNTANT, Role.EVALUATOR}))


async def test_nobody_learns_the_id_of_somebody_else_by_their_document(tx: Tx) -> None:
    await known(tx, rosa(7))
    actor = participant()
    [decision] = await people(tx, sent(known_as(rosa(7), actor.person_id), actor))
    assert decision == refused("not-allowed", field="person", reason="somebody-else")


async def test_nobody_is_made_known_by_commands_that_are_rejected(tx: Tx) -> None:
    [taken] = await known(tx, rosa(7))
    somebody = participant()
    decisions = await people(
        tx,
        sent(known_as(rosa(8), roles=frozenset(Role)), somebody),
        sent(known_as(rosa(9), taken), participant(taken)),
    )
    assert [codes(one) for one in decisions] == [
        [("not-allowed", "person_id"), ("not-allowed", "roles")],
        [("id-taken", "person_id")],
    ]
    assert facts(decisions) == []
    assert await count(tx, "people") == 1


async def test_one_id_for_two_people_of_a_batch_is_refused_to_the_second(tx: Tx) -> None:
    person_id = uuid7()
    decisions = await people(tx, sent(known_as(rosa(7), person_id), TEAM), sent(known_as(rosa(8), person_id), TEAM))
    assert [codes(one) for one in decisions] == [[], [("id-taken", "person_id")]]


async def test_consents_are_kept_one_by_one(tx: Tx) -> None:
    first = Consent(purpose="mailing", text_version="2019-1", given_at=NOW)
    consents = (first, Consent(purpose="networking", text_version="2019-1", given_at=NOW))
    [person_id] = await known(tx, rosa(7, consents=consents))
    later = NOW + timedelta(days=1)
    newer = (
        Consent(purpose="mailing", text_version="2019-1", given_at=later),
        Consent(purpose="mailing", text_version="2019-2", given_at=later),
    )
    await known(tx, rosa(7, consents=newer))
    rows = await tx.fetch("select * from registration.consents order by purpose, text_version")
    assert [tuple(row) for row in rows] == [
        (person_id, "mailing", "2019-1", NOW),
        (person_id, "mailing", "2019-2", later),
        (person_id, "networking", "2019-1", NOW),
    ]


async def test_a_shared_email_or_phone_is_flagged_and_never_merged(tx: Tx) -> None:
    shared_phone = {"phone": "+51974009052"}
    [first] = await known(tx, rosa(7, email="casa@example.org", **shared_phone))
    [second, third] = await known(
        tx, rosa(8, email="casa@example.org"), rosa(9, email="otra@example.org", **shared_phone)
    )
    [evaluator] = await known(tx, rosa(email="casa@example.org"))
    assert len({first, second, third, evaluator}) == 4
    rows = await tx.fetch("select kind, person_id, shared_with from registration.flags")
    assert {tuple(row) for row in rows} == {
        ("email", second, first),
        ("phone", third, first),
        ("email", evaluator, first),
    }


async def test_two_of_a_batch_who_share_an_email_are_flagged(tx: Tx) -> None:
    first, second = await known(tx, rosa(7, email="casa@example.org"), rosa(8, email="casa@example.org"))
    rows = await tx.fetch("select kind, person_id, shared_with from registration.flags")
    assert [tuple(row) for row in rows] == [("email", second, first)]


async def test_a_meeting_is_drafted_and_published_once(tx: Tx) -> None:
    command = a_meeting()
    state = dict(MeetingState(**dict(command)))
    ids = {"meeting_id": str(command.meeting_id)}
    created = await commands.create_meeting(tx, command, by(TEAM))
    assert created == Decision(facts=(MeetingCreated(**state, version=1),), ids=ids)
    first = await commands.publish_meeting(tx, published(command.meeting_id), by(TEAM))
    assert first == Decision(facts=(MeetingPublished(**state, version=2),), ids=ids)
    assert await commands.publish_meeting(tx, published(command.meeting_id), by(TEAM)) == Decision(ids=ids)


async def test_every_problem_of_a_meeting_is_named_at_once(tx: Tx) -> None:
    first = a_meeting()
    await commands.create_meeting(tx, first, by(TEAM))
    again = a_meeting(meeting_id=first.meeting_id, code=first.code, ends_at=STARTS_AT)
    decision = await commands.create_meeting(tx, again, by(organiser("15")))
    assert codes(decision) == [
        ("not-allowed", "region"),
        ("ends-before-start", "ends_at"),
        ("id-taken", "meeting_id"),
        ("code-taken", "code"),
    ]
    assert codes(await commands.create_meeting(tx, a_meeting(code=first.code), by(TEAM))) == [("code-taken", "code")]


async def test_only_an_organiser_of_its_region_publishes_a_meeting_that_exists(tx: Tx) -> None:
    command = a_meeting()
    await commands.create_meeting(tx, command, by(TEAM))
    elsewhere = await commands.publish_meeting(tx, published(command.meeting_id), by(organiser("15")))
    assert codes(elsewhere) == [("not-allowed", "meeting_id")]
    nowhere = await commands.publish_meeting(tx, published(uuid7()), by(TEAM))
    assert codes(nowhere) == [("no-such-meeting", "meeting_id")]
    assert (await commands.publish_meeting(tx, published(command.meeting_id), by(organiser("08")))).problems == ()


async def test_places_are_given_out_in_order_of_acceptance_and_then_the_waitlist(tx: Tx) -> None:
    meeting_id = await the_meeting(tx, capacity=2)
    who = await known(tx, *(rosa(number) for number in range(1, 5)))
    seconds = [3, 1, 2, 0]  # a batch in which the first was delivered late
    senders = [
        sent(a_place(meeting_id), participant(person_id), NOW + timedelta(seconds=second))
        for person_id, second in zip(who, seconds, strict=True)
    ]

    def state(index: int) -> dict[str, Any]:
        return {
            "version": 1,
            "registration_id": senders[index].command.registration_id,
            "meeting_id": meeting_id,
            "person_id": who[index],
            "region": "08",
            "sector": Sector.MUSIC,
            "gender": Gender.WOMAN,
        }

    decisions = await places(tx, *senders)
    assert facts(decisions) == [
        RegistrationWaitlisted(**state(0), position=2),
        RegistrationConfirmed(**state(1)),
        RegistrationWaitlisted(**state(2), position=1),
        RegistrationConfirmed(**state(3)),
    ]
    assert [one.ids for one in decisions] == [
        {"registration_id": str(sender.command.registration_id), "person_id": str(person_id)}
        for sender, person_id in zip(senders, who, strict=True)
    ]


async def test_an_earlier_acceptance_that_comes_in_a_later_batch_is_before_in_line(tx: Tx) -> None:
    meeting_id = await the_meeting(tx, capacity=1)
    taker, late, early, last = await known(tx, *(rosa(number) for number in range(1, 5)))

    async def asks(person_id: UUID, second: int) -> Decision:
        at = NOW + timedelta(seconds=second)
        [decision] = await places(tx, sent(a_place(meeting_id), participant(person_id), at))
        return decision

    decisions = [await asks(taker, 0), await asks(late, 9), await asks(last, 9), await asks(early, 5)]
    told = facts(decisions)
    assert [getattr(fact, "position", None) for fact in told] == [None, 1, 2, 1]
    promoted = [(await cancel(tx, decisions[index])).facts[1].thing() for index in (0, 3, 1)]
    assert promoted == [told[index].thing() for index in (3, 1, 2)]


async def test_the_team_registers_people_by_their_details_known_or_not(tx: Tx) -> None:
    meeting_id = await the_meeting(tx, capacity=10)
    [person_id] = await known(tx, rosa(7))
    unknown = a_place(meeting_id, rosa(8, region="15", sector=None))
    decisions = await places(tx, sent(a_place(meeting_id, rosa(7)), TEAM), sent(unknown, TEAM))
    assert person_of(decisions[0]) == person_id
    [record, confirmed] = decisions[1].facts
    assert isinstance(record, Person)
    assert (record.version, record.roles) == (1, frozenset({Role.PARTICIPANT}))
    assert isinstance(confirmed, RegistrationConfirmed)
    assert (confirmed.person_id, confirmed.region, confirmed.sector) == (record.person_id, "15", None)
    assert await count(tx, "people") == 2


async def test_an_evaluator_whom_the_team_registers_becomes_a_participant_too(tx: Tx) -> None:
    meeting_id = await the_meeting(tx)
    evaluator = known_as(rosa(7), roles=frozenset({Role.EVALUATOR}))
    await people(tx, sent(evaluator, TEAM))
    [decision] = await places(tx, sent(a_place(meeting_id, rosa(7)), TEAM))
    [record, _] = decision.facts
    assert isinstance(record, Person)
    assert (record.version, record.roles) == (2, frozenset({Role.EVALUATOR, Role.PARTICIPANT}))


async def test_registering_twice_is_one_registration(tx: Tx) -> None:
    meeting_id = await the_meeting(tx, capacity=1)
    [first, waiting] = [a_place(meeting_id, rosa(number)) for number in (7, 8)]
    decisions = await places(tx, sent(first, TEAM), sent(a_place(meeting_id, rosa(7)), TEAM), sent(waiting, TEAM))
    again = await places(tx, sent(a_place(meeting_id, rosa(7)), TEAM), sent(a_place(meeting_id, rosa(8)), TEAM))
    ids = [one.ids for one in (*decisions, *again)]
    assert ids == [ids[0], ids[0], ids[2], ids[0], ids[2]]
    assert [type(fact) for fact in facts(decisions)] == [
        Person,
        RegistrationConfirmed,
        Person,
        RegistrationWaitlisted,
    ]
    assert facts(again) == []
    [row] = await tx.fetch("select * from registration.meetings where meeting_id = $1", meeting_id)
    assert (row["confirmed"], row["waitlisted"]) == (1, 1)


async def test_rejected_registrations_name_every_problem_and_make_nobody_known(tx: Tx) -> None:
    draft = a_meeting()
    await commands.create_meeting(tx, draft, by(TEAM))
    open_meeting = await the_meeting(tx)
    taken = a_place(open_meeting, rosa(1))
    await places(tx, sent(taken, TEAM))
    elsewhere = organiser("15")
    decisions = await places(
        tx,
        sent(a_place(uuid7(), rosa(2)), TEAM),
        sent(a_place(draft.meeting_id, rosa(2)), TEAM, STARTS_AT),
        sent(a_place(open_meeting, rosa(2)), elsewhere),
        sent(a_place(open_meeting, rosa(2)), participant()),
        sent(a_place(open_meeting), participant()),
        sent(a_place(open_meeting, rosa(2), registration_id=taken.registration_id), TEAM),
        sent(a_place(uuid7()), participant()),
    )
    assert [codes(one) for one in decisions] == [
        [("no-such-meeting", "meeting_id")],
        [("meeting-not-published", "meeting_id"), ("meeting-started", "meeting_id")],
        [("not-allowed", "meeting_id")],
        [("not-allowed", "person")],
        [("no-such-person", None)],
        [("id-taken", "registration_id")],
        [("no-such-meeting", "meeting_id"), ("no-such-person", None)],
    ]
    assert await count(tx, "people") == 1
    assert await count(tx, "registrations") == 1


async def test_one_id_for_two_registrations_of_a_batch_is_refused_to_the_second(tx: Tx) -> None:
    meeting_id, registration_id = await the_meeting(tx), uuid7()
    decisions = await places(
        tx,
        *(sent(a_place(meeting_id, rosa(number), registration_id=registration_id), TEAM) for number in (7, 8)),
    )
    assert [codes(one) for one in decisions] == [[], [("id-taken", "registration_id")]]


async def cancel(tx: Tx, decision: Decision, actor: Actor = TEAM, **late: Any) -> Decision:
    """A registration is given up."""
    at = NOW + timedelta(**late)
    return await commands.cancel_registration(tx, no_place((decision.ids or {})["registration_id"]), by(actor, at))


async def test_a_freed_place_goes_to_the_first_in_line(tx: Tx) -> None:
    meeting_id = await the_meeting(tx, capacity=1)
    first, second, third = await places(tx, *(sent(a_place(meeting_id, rosa(number)), TEAM) for number in (7, 8, 9)))

    def state(decision: Decision, version: int) -> dict[str, Any]:
        fact = decision.facts[1].model_dump()
        return {name: fact[name] for name in RegistrationState.model_fields} | {"version": version}

    freed = await cancel(tx, first)
    assert freed == Decision(
        facts=(RegistrationCancelled(**state(first, 2)), RegistrationPromoted(**state(second, 2))),
        ids={"registration_id": (first.ids or {})["registration_id"]},
    )
    assert (await cancel(tx, third)).facts == (RegistrationCancelled(**state(third, 2)),)
    assert (await cancel(tx, second)).facts == (RegistrationCancelled(**state(second, 3)),)
    [row] = await tx.fetch("select * from registration.meetings where meeting_id = $1", meeting_id)
    assert (row["confirmed"], row["waitlisted"], row["accepted"]) == (0, 0, 3)


async def test_cancelling_twice_is_cancelling_once(tx: Tx) -> None:
    meeting_id = await the_meeting(tx, capacity=1)
    first, _ = await places(tx, *(sent(a_place(meeting_id, rosa(number)), TEAM) for number in (7, 8)))
    await cancel(tx, first)
    assert await cancel(tx, first) == Decision(ids={"registration_id": (first.ids or {})["registration_id"]})


async def test_who_cancelled_may_come_back_to_the_end_of_the_line(tx: Tx) -> None:
    meeting_id = await the_meeting(tx, capacity=1)
    first, second, _ = await places(tx, *(sent(a_place(meeting_id, rosa(number)), TEAM) for number in (7, 8, 9)))
    await cancel(tx, first)
    back = sent(a_place(meeting_id, rosa(7, region="15")), TEAM, NOW + timedelta(hours=1))
    [decision] = await places(tx, back)
    assert decision.ids == first.ids
    [fact] = decision.facts
    assert isinstance(fact, RegistrationWaitlisted)
    assert (fact.version, fact.position, fact.region) == (3, 2, "08")
    assert [type(one) for one in (await cancel(tx, second)).facts] == [RegistrationCancelled, RegistrationPromoted]
    [left] = await tx.fetch("select * from registration.registrations where state = 'waitlisted'")
    assert left["registration_id"] == fact.registration_id


async def test_nobody_is_promoted_once_the_meeting_has_started(tx: Tx) -> None:
    meeting_id = await the_meeting(tx, capacity=1)
    first, _ = await places(tx, *(sent(a_place(meeting_id, rosa(number)), TEAM) for number in (7, 8)))
    assert [type(fact) for fact in (await cancel(tx, first, days=30)).facts] == [RegistrationCancelled]
    [row] = await tx.fetch("select * from registration.meetings where meeting_id = $1", meeting_id)
    assert (row["confirmed"], row["waitlisted"]) == (0, 1)


async def test_a_registration_is_cancelled_by_its_person_or_the_team_of_the_region(tx: Tx) -> None:
    meeting_id = await the_meeting(tx)
    [decision] = await places(tx, sent(a_place(meeting_id, rosa(7)), TEAM))
    assert codes(await cancel(tx, decision, participant())) == [("not-allowed", "registration_id")]
    assert codes(await cancel(tx, decision, organiser("15"))) == [("not-allowed", "registration_id")]
    missing = await commands.cancel_registration(tx, no_place(uuid7()), by(TEAM))
    assert codes(missing) == [("no-such-registration", "registration_id")]
    assert [type(fact) for fact in (await cancel(tx, decision, participant(person_of(decision)))).facts] == [
        RegistrationCancelled
    ]


async def test_documents_of_other_kinds_and_none_are_told_apart(tx: Tx) -> None:
    passport = rosa(document=Document(type=DocumentType.PASSPORT, number="00000007"), email="p@example.org")
    ids = await known(tx, rosa(7), passport, rosa(email="rosa7@example.org"))
    assert len(set(ids)) == 3
    assert await known(tx, rosa(7), passport, rosa(email="rosa7@example.org")) == ids
