"""What registration can do: make people known, draft and publish meetings, give out and take back places."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from uuid_utils.compat import uuid7

from services.registration import domain, store
from services.registration.domain import Known, Meeting, People, Place, Registration
from shared.contracts import Command, Fact
from shared.contracts.people import PersonDetails, Role
from shared.contracts.registration import (
    CancelRegistration,
    CreateMeeting,
    MeetingCreated,
    MeetingPublished,
    Person,
    PublishMeeting,
    RegisterParticipant,
    RegisterPerson,
    RegistrationState,
)
from shared.contracts.wire import Problem
from shared.db import Tx
from shared.messaging import By, Decision, Sender, applied, refused, rejected

C = TypeVar("C", bound=Command)

_PARTICIPANT = frozenset({Role.PARTICIPANT})


async def register_people(tx: Tx, senders: Sequence[Sender[RegisterPerson]]) -> Sequence[Decision]:
    """Make people known, or find them again: who was accepted first has stated what stands."""
    ids = {sender.command.person_id for sender in senders}
    taken = await store.people(tx, person_ids=ids)
    people = await _people(tx, [sender.command.person for sender in senders], taken=taken)
    decisions = {one.by.command_id: _register_person(one, people) for one in _by_acceptance(senders)}
    await _save_people(tx, people)
    return [decisions[sender.by.command_id] for sender in senders]


def _register_person(sender: Sender[RegisterPerson], people: People) -> Decision:
    command, by = sender.command, sender.by
    if problems := domain.person_problems(command, actor=by.actor, people=people):
        return rejected(*problems)
    known, changed = people.register(
        command.person, person_id=command.person_id, roles=command.roles, actor=by.actor, at=by.stored_at
    )
    return applied(*changed, person_id=known.person.person_id)


async def create_meeting(tx: Tx, command: CreateMeeting, by: By) -> Decision:
    """Draft a meeting; nobody but the team sees it yet."""
    problems = domain.meeting_problems(command, actor=by.actor)
    for name in await store.taken_meeting_fields(tx, meeting_id=command.meeting_id, code=command.code):
        problems.append(Problem(code="code-taken" if name == "code" else "id-taken", field=name))
    if problems:
        return rejected(*problems)
    await store.insert_meeting(tx, meeting=command)
    return applied(MeetingCreated(**dict(command), version=1), meeting_id=command.meeting_id)


async def publish_meeting(tx: Tx, command: PublishMeeting, by: By) -> Decision:
    """Publish a meeting, which opens its registration; publishing it again changes nothing."""
    meetings = await store.meetings_for_update(tx, meeting_ids=[command.meeting_id])
    meeting = meetings.get(command.meeting_id)
    if meeting is None:
        return refused("no-such-meeting", field="meeting_id")
    if not by.actor.covers(meeting.public.region):
        return refused("not-allowed", field="meeting_id", reason="region")
    if meeting.published:
        return applied(meeting_id=command.meeting_id)
    fact = MeetingPublished(**dict(meeting.public), version=meeting.version + 1)
    await store.publish_meeting(tx, meeting_id=fact.meeting_id, version=fact.version)
    return applied(fact, meeting_id=fact.meeting_id)


async def register_participants(tx: Tx, senders: Sequence[Sender[RegisterParticipant]]) -> Sequence[Decision]:
    """Give out places in order of acceptance, never one too many; when there are none left, the waitlist."""
    desk = await _desk(tx, senders)
    decisions = {one.by.command_id: _register_participant(one, desk) for one in _by_acceptance(senders)}
    await _save_people(tx, desk.people)
    await _save_registrations(tx, desk)
    return [decisions[sender.by.command_id] for sender in senders]


@dataclass(slots=True)
class _Desk:
    """Where a batch asks for places: the meetings, which are locked, the people, who is registered already.

    `given` and `given_again` are the registrations of this batch, new ones and formerly cancelled ones.
    """

    meetings: Mapping[UUID, Meeting]
    people: People
    themselves: Mapping[UUID, Known]
    registrations: dict[tuple[UUID, UUID], Registration] = field(default_factory=dict)
    taken: set[UUID] = field(default_factory=set)
    given: list[Registration] = field(default_factory=list)
    given_again: list[Registration] = field(default_factory=list)

    def known(self, sender: Sender[RegisterParticipant]) -> Known | None:
        """Whom a place is asked for, if they are known."""
        details = sender.command.person
        return self.people.find(details) if details else self.themselves.get(sender.by.actor.person_id)

    def before(self, sender: Sender[RegisterParticipant]) -> Registration | None:
        """Their registration for this meeting, if they have or had one."""
        known = self.known(sender)
        return self.registrations.get((sender.command.meeting_id, known.person.person_id)) if known else None

    def give(self, meeting: Meeting, who: RegistrationState, *, before: Registration | None, at: datetime) -> Fact:
        """Give a place, or one on the waitlist."""
        registration, fact = domain.take_place(meeting, who, before=before, at=at)
        self.registrations[who.meeting_id, who.person_id] = registration
        self.taken.add(who.registration_id)
        (self.given_again if before else self.given).append(registration)
        return fact


async def _desk(tx: Tx, senders: Sequence[Sender[RegisterParticipant]]) -> _Desk:
    """All that the batch needs to know; the meetings' locks come first."""
    meetings = await store.meetings_for_update(tx, meeting_ids={one.command.meeting_id for one in senders})
    entered = [sender.command.person for sender in senders if sender.command.person]
    themselves = {sender.by.actor.person_id for sender in senders if not sender.command.person}
    desk = _Desk(meetings, await _people(tx, entered), await store.people(tx, person_ids=themselves))
    pairs = {(sender.command.meeting_id, known.person.person_id) for sender in senders if (known := desk.known(sender))}
    desk.registrations = await store.registrations_of(tx, pairs=pairs)
    ids = {sender.command.registration_id for sender in senders}
    desk.taken = await store.taken_registration_ids(tx, registration_ids=ids)
    first: dict[UUID, datetime] = {}
    for sender in _by_acceptance(senders):
        first.setdefault(sender.command.meeting_id, sender.by.stored_at)
    for meeting_id, accepted_at in await store.waiting_later(tx, since=first):
        meetings[meeting_id].places.later.append(accepted_at)
    return desk


def _register_participant(sender: Sender[RegisterParticipant], desk: _Desk) -> Decision:
    command, by = sender.command, sender.by
    meeting, before = desk.meetings.get(command.meeting_id), desk.before(sender)
    problems = domain.place_problems(command, meeting, actor=by.actor, at=by.stored_at)
    if command.person is None and desk.known(sender) is None:
        problems.append(Problem(code="no-such-person"))
    if before is None and command.registration_id in desk.taken:
        problems.append(Problem(code="id-taken", field="registration_id"))
    if problems or meeting is None:
        return rejected(*problems)
    known, changed = _welcome(sender, desk)
    person_id = known.person.person_id
    if before and before.place is not Place.CANCELLED:
        return applied(*changed, registration_id=before.public.registration_id, person_id=person_id)
    who = RegistrationState(
        registration_id=before.public.registration_id if before else command.registration_id,
        meeting_id=command.meeting_id,
        person_id=person_id,
        region=known.person.region,
        sector=known.person.sector,
        gender=known.gender,
    )
    fact = desk.give(meeting, who, before=before, at=by.stored_at)
    return applied(*changed, fact, registration_id=who.registration_id, person_id=person_id)


def _welcome(sender: Sender[RegisterParticipant], desk: _Desk) -> tuple[Known, tuple[Person, ...]]:
    """Whom the place is for: the sender, or somebody whom the team enters, known or not."""
    details, by = sender.command.person, sender.by
    if details is None:
        return desk.themselves[by.actor.person_id], ()
    return desk.people.register(details, person_id=uuid7(), roles=_PARTICIPANT, actor=by.actor, at=by.stored_at)


async def cancel_registration(tx: Tx, command: CancelRegistration, by: By) -> Decision:
    """Give up a registration; a place that it frees before the meeting starts goes to the first in line.

    At once and for good: offers that expire come later.
    """
    meeting_id = await store.meeting_of(tx, registration_id=command.registration_id)
    if meeting_id is None:
        return refused("no-such-registration", field="registration_id")
    meeting = (await store.meetings_for_update(tx, meeting_ids=[meeting_id]))[meeting_id]
    registration = await store.registration(tx, registration_id=command.registration_id)
    if not domain.may_cancel(registration, meeting, actor=by.actor):
        return refused("not-allowed", field="registration_id")
    if registration.place is Place.CANCELLED:
        return applied(registration_id=command.registration_id)
    cancelled, fact = domain.give_up(meeting, registration)
    await store.change_registrations(tx, registrations=[cancelled])
    promoted = await _promote_first(tx, meeting, at=by.stored_at)
    await store.note_places(tx, meetings=[meeting])
    return applied(fact, *promoted, registration_id=command.registration_id)


async def _promote_first(tx: Tx, meeting: Meeting, *, at: datetime) -> Sequence[Fact]:
    if not meeting.places.owed or meeting.has_started(at):
        return []
    first = await store.first_in_line(tx, meeting_id=meeting.public.meeting_id)
    promoted, fact = domain.promote(meeting, first)
    await store.change_registrations(tx, registrations=[promoted])
    return [fact]


def _by_acceptance(senders: Sequence[Sender[C]]) -> list[Sender[C]]:
    """In the order in which the bus stored them: one that is delivered again comes late, and was first."""
    return sorted(senders, key=lambda sender: sender.by.stored_at)


async def _people(tx: Tx, details: Iterable[PersonDetails], *, taken: Collection[UUID] = ()) -> People:
    known = await store.people_for_update(tx, identities={domain.identity_of(one) for one in details})
    return People(known, taken=taken)


async def _save_people(tx: Tx, people: People) -> None:
    if people.newcomers:
        await store.insert_people(tx, newcomers=people.newcomers, known=people.known)
        contacts = [contact for newcomer in people.newcomers.values() for contact in newcomer.contacts()]
        await store.note_contacts(tx, contacts=contacts)
        await store.flag_shared_contacts(tx, contacts=contacts)
    if people.granted:
        await store.grant_roles(tx, granted=list(people.granted.values()))
    if people.consents:
        await store.insert_consents(tx, consents=people.consents)


async def _save_registrations(tx: Tx, desk: _Desk) -> None:
    if desk.given:
        await store.insert_registrations(tx, registrations=desk.given)
    if desk.given_again:
        await store.change_registrations(tx, registrations=desk.given_again)
    if changed := {one.public.meeting_id for one in (*desk.given, *desk.given_again)}:
        await store.note_places(tx, meetings=[desk.meetings[meeting_id] for meeting_id in sorted(changed)])
