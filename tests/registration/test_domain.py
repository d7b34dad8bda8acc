"""The rules of people, meetings and places, without a database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from uuid_utils.compat import uuid7

from services.registration import domain
from services.registration.domain import Known, Meeting, People, Place, Places, Registration
from shared.contracts.people import Consent, Document, DocumentType, PersonDetails, Role
from shared.contracts.registration import (
    MeetingState,
    Person,
    RegistrationConfirmed,
    RegistrationState,
    RegistrationWaitlisted,
)
from shared.contracts.wire import Problem
from shared.identity import Actor
from tests.registration.cast import NOW, STARTS_AT, a_meeting, a_place, known_as, organiser, participant, rosa


def kept(capacity: int = 2, *, published: bool = True) -> Meeting:
    """A meeting as it is kept."""
    state = MeetingState(**dict(a_meeting(capacity=capacity)))
    return Meeting(state, published, 2 if published else 1, Places(capacity))


class PlacesOfOneMeeting(RuleBasedStateMachine):
    """A meeting's places under batches that come early and late, cancellations and second thoughts.

    The registrations are kept here as the database keeps them; only the first in line and who stands behind
    somebody are looked up, as `store` does.
    """

    def __init__(self) -> None:
        super().__init__()
        self.meeting = kept()
        self.registrations: dict[UUID, Registration] = {}
        self.facts: dict[UUID, int] = {}

    @initialize(capacity=st.integers(1, 4))
    def open(self, capacity: int) -> None:
        """A meeting is published."""
        self.meeting = kept(capacity)

    def line(self) -> list[Registration]:
        """The waitlist in its order."""
        waiting = [one for one in self.registrations.values() if one.place is Place.WAITLISTED]
        return sorted(waiting, key=lambda one: (one.accepted_at, one.number))

    def note(self, registration: Registration) -> None:
        """A fact has been noted, and the state with it."""
        key = registration.public.registration_id
        self.registrations[key] = registration
        self.facts[key] = self.facts.get(key, 0) + 1
        assert registration.version == self.facts[key]

    def ask(self, at: datetime, before: Registration | None = None) -> None:
        """Somebody asks for a place, new or for the second time."""
        who = (
            before.public
            if before
            else RegistrationState(
                registration_id=uuid7(), meeting_id=self.meeting.public.meeting_id, person_id=uuid7()
            )
        )
        free = self.meeting.places.confirmed < self.meeting.public.capacity
        registration, fact = domain.take_place(self.meeting, who, before=before, at=at)
        self.note(registration)
        if isinstance(fact, RegistrationWaitlisted):
            assert not free
            assert self.line()[fact.position - 1] == registration
        else:
            assert isinstance(fact, RegistrationConfirmed)
            assert free

    def look(self, since: datetime) -> None:
        """What `store.waiting_later` tells a batch."""
        later = sorted(one.accepted_at for one in self.line() if one.accepted_at > since)
        self.meeting.places.later = later

    @rule(minutes=st.lists(st.integers(0, 9), min_size=1, max_size=6))
    def batch(self, minutes: list[int]) -> None:
        """A batch asks for places: instants repeat, and may be before those of earlier batches."""
        instants = sorted(NOW + timedelta(minutes=minute) for minute in minutes)
        self.look(instants[0])
        for at in instants:
            self.ask(at)

    @precondition(lambda self: self.registrations)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """Somebody gives up a place, or one in line."""
        active = [one for one in self.registrations.values() if one.place is not Place.CANCELLED]
        if not active:
            return
        cancelled, _ = domain.give_up(self.meeting, data.draw(st.sampled_from(active)))
        self.note(cancelled)
        if self.meeting.places.owed:
            promoted, _ = domain.promote(self.meeting, self.line()[0])
            self.note(promoted)

    @precondition(lambda self: self.registrations)
    @rule(data=st.data(), minute=st.integers(0, 9))
    def come_back(self, data: st.DataObject, minute: int) -> None:
        """Somebody who cancelled asks again: a new place in line."""
        cancelled = [one for one in self.registrations.values() if one.place is Place.CANCELLED]
        if cancelled:
            at = NOW + timedelta(minutes=minute)
            self.look(at)
            self.ask(at, data.draw(st.sampled_from(cancelled)))

    @invariant()
    def never_one_too_many(self) -> None:
        """The counts are those of the registrations, and never more than the capacity."""
        places = [one.place for one in self.registrations.values()]
        assert self.meeting.places.confirmed == places.count(Place.CONFIRMED) <= self.meeting.public.capacity
        assert self.meeting.places.waitlisted == places.count(Place.WAITLISTED)

    @invariant()
    def nobody_waits_for_a_free_place(self) -> None:
        """While somebody waits, every place is taken."""
        assert not self.line() or self.meeting.places.confirmed == self.meeting.public.capacity


TestPlacesOfOneMeeting = PlacesOfOneMeeting.TestCase


def test_a_free_place_belongs_to_who_waits_even_if_somebody_asks_first() -> None:
    places = Places(capacity=1)
    assert [places.take(NOW), places.take(NOW)] == [None, 1]
    places.give_up(Place.CONFIRMED)
    assert places.owed
    assert places.take(NOW) == 2


@given(st.integers(1, 99_999_999), st.sampled_from(["{}", " {} ", "{:08}"]))
def test_a_dni_however_written_is_one_person(number: int, habit: str) -> None:
    written = rosa(email="other@example.org", document=Document(number=habit.format(number)))
    assert domain.identity_of(written) == domain.identity_of(rosa(number)) == f"dni:{number:08}"


def test_the_same_number_on_another_kind_of_document_is_somebody_else() -> None:
    passport = rosa(document=Document(type=DocumentType.PASSPORT, number="01234567"))
    assert domain.identity_of(passport) == "passport:01234567"
    assert domain.identity_of(rosa(1234567)) == "dni:01234567"


def test_without_a_document_the_email_is_the_person_and_never_one_with_a_document() -> None:
    people = People({})
    evaluator, _ = register(people, rosa(email="rosa@example.org"))
    found, again = register(people, rosa(email="ROSA@example.org ", given="Rosita"))
    documented, _ = register(people, rosa(7, email="rosa@example.org"))
    assert (found, again) == (evaluator, ())
    assert documented.person.person_id != evaluator.person.person_id


def register(
    people: People, details: PersonDetails, *roles: Role, actor: Actor | None = None
) -> tuple[Known, tuple[Person, ...]]:
    """Register with a fresh id, by an organiser unless told otherwise."""
    return people.register(details, person_id=uuid7(), roles=frozenset(roles), actor=actor or organiser(), at=NOW)


def test_what_was_stated_first_stands() -> None:
    people = People({})
    first, _ = register(people, rosa(7))
    found, changed = register(people, rosa(7, given="Otra", email="otra@example.org", region="15"))
    assert (found, changed) == (first, ())
    assert [one.details.given for one in people.newcomers.values()] == ["Rosa"]


@given(st.lists(st.sets(st.sampled_from(list(Role))), min_size=1, max_size=6))
def test_roles_are_united_by_organisers_and_every_change_is_a_version(granted: list[set[Role]]) -> None:
    people = People({})
    records = [record for roles in granted for record in register(people, rosa(7), *roles)[1]]
    assert records[-1].roles == frozenset().union(*granted)
    assert [record.version for record in records] == list(range(1, len(records) + 1))
    assert people.known["dni:00000007"].person == records[-1]
    assert people.granted == {}


def test_roles_of_somebody_known_before_are_to_be_granted() -> None:
    newcomers = People({})
    before, _ = register(newcomers, rosa(7), Role.PARTICIPANT)
    people = People(newcomers.known)
    now, changed = register(people, rosa(7), Role.EVALUATOR)
    assert now.person.roles == {Role.PARTICIPANT, Role.EVALUATOR}
    assert changed == (before.person.model_copy(update={"roles": now.person.roles, "version": 2}),)
    assert (people.granted, people.newcomers) == ({now.person.person_id: now}, {})


def test_a_participant_grants_nothing_to_who_is_known() -> None:
    newcomers = People({})
    before, _ = register(newcomers, rosa(7))
    people = People(newcomers.known)
    assert register(people, rosa(7), Role.PARTICIPANT, actor=participant()) == (before, ())


def test_only_the_team_or_the_person_consents() -> None:
    consent = Consent(purpose="mailing", text_version="2019-1", given_at=NOW)
    newcomers = People({})
    known, _ = register(newcomers, rosa(7))
    person_id = known.person.person_id

    def consents(actor: Actor) -> list[tuple[UUID, Consent]]:
        people = People(newcomers.known)
        register(people, rosa(7, consents=(consent,)), actor=actor)
        return people.consents

    assert consents(participant()) == []
    assert consents(participant(person_id)) == [(person_id, consent)]
    assert consents(organiser()) == [(person_id, consent)]


def codes(problems: Sequence[Problem]) -> list[tuple[str, str | None]]:
    """What is wrong, and where."""
    return [(problem.code, problem.field) for problem in problems]


@pytest.mark.parametrize(
    ("actor", "roles", "expected"),
    [
        (organiser(), set(Role), []),
        (organiser("08"), {Role.PARTICIPANT, Role.EVALUATOR}, []),
        (organiser("08"), {Role.OPERATOR}, [("not-allowed", "roles")]),
        (participant(), {Role.PARTICIPANT}, [("not-allowed", "person_id")]),
        (participant(), {Role.EVALUATOR}, [("not-allowed", "person_id"), ("not-allowed", "roles")]),
    ],
)
def test_who_may_make_whom_known_as_what(actor: Actor, roles: set[Role], expected: list[tuple[str, str]]) -> None:
    command = known_as(rosa(7), roles=frozenset(roles))
    assert codes(domain.person_problems(command, actor=actor, people=People({}))) == expected


def test_a_participant_may_make_themself_known_but_not_under_an_id_that_is_taken() -> None:
    actor = participant()
    command = known_as(rosa(7), actor.person_id)
    assert domain.person_problems(command, actor=actor, people=People({})) == []
    taken = People({}, taken=[actor.person_id])
    assert codes(domain.person_problems(command, actor=actor, people=taken)) == [("id-taken", "person_id")]


def test_a_meeting_needs_an_organiser_of_its_region_and_ends_after_it_starts() -> None:
    command = a_meeting(ends_at=STARTS_AT)
    assert codes(domain.meeting_problems(command, actor=organiser("15"))) == [
        ("not-allowed", "region"),
        ("ends-before-start", "ends_at"),
    ]
    assert domain.meeting_problems(a_meeting(), actor=organiser("08")) == []


@pytest.mark.parametrize(
    ("actor", "details", "state", "at", "expected"),
    [
        (participant(), None, "published", STARTS_AT - timedelta(microseconds=1), []),
        (participant(), None, "published", STARTS_AT, ["meeting-started"]),
        (participant(), None, "draft", STARTS_AT, ["meeting-not-published", "meeting-started"]),
        (participant(), rosa(7), "draft", NOW, ["meeting-not-published", "not-allowed"]),
        (organiser("15"), rosa(7), "published", NOW, ["not-allowed"]),
        (organiser("15"), None, "published", NOW, []),
        (organiser("08"), rosa(7), "published", NOW, []),
    ],
)
def test_why_a_place_cannot_be_asked_for(
    actor: Actor, details: PersonDetails | None, state: str, at: datetime, expected: list[str]
) -> None:
    meeting = kept(published=state == "published")
    command = a_place(meeting.public.meeting_id, details)
    problems = domain.place_problems(command, meeting, actor=actor, at=at)
    assert [problem.code for problem in problems] == expected


def test_there_may_be_no_such_meeting() -> None:
    problems = domain.place_problems(a_place(uuid7()), None, actor=organiser(), at=NOW)
    assert codes(problems) == [("no-such-meeting", "meeting_id")]


def test_a_registration_is_its_persons_or_the_teams_of_that_region() -> None:
    meeting = kept()
    who = RegistrationState(registration_id=uuid7(), meeting_id=meeting.public.meeting_id, person_id=uuid7())
    registration, _ = domain.take_place(meeting, who, before=None, at=NOW)
    actors = [participant(who.person_id), organiser(), organiser("08"), organiser("15"), participant()]
    allowed = [domain.may_cancel(registration, meeting, actor=actor) for actor in actors]
    assert allowed == [True, True, True, False, False]


def test_facts_carry_nothing_of_a_person_but_statistics() -> None:
    meeting = kept()
    who = RegistrationState(
        registration_id=uuid7(), meeting_id=meeting.public.meeting_id, person_id=uuid7(), region="08"
    )
    registration, fact = domain.take_place(meeting, who, before=None, at=NOW)
    _, cancelled = domain.give_up(meeting, registration)
    assert set(fact.model_dump()) == {*RegistrationState.model_fields, "version"}
    assert set(cancelled.model_dump()) == {*RegistrationState.model_fields, "version"}
