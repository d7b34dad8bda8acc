"""People, meetings, places: types and rules. Pure: the clock is when the bus stored a command."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from shared.contracts.people import Consent, Document, Gender, PersonDetails, Role
from shared.contracts.registration import (
    CreateMeeting,
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
from shared.contracts.wire import Problem
from shared.identity import Actor

# Roles that reach beyond a region: an organiser bound to regions cannot grant them.
_EVERYWHERE = frozenset({Role.ORGANISER, Role.ACCOUNTANT, Role.OPERATOR})
_PARTICIPANT = frozenset({Role.PARTICIPANT})


def identity_of(person: PersonDetails) -> str:
    """What makes two rows the same person: the document, or the e-mail of who has given none."""
    return identity_of_document(person.document) if person.document else f"email:{person.email}"


def identity_of_document(document: Document) -> str:
    """The identity of whoever has this document."""
    return f"{document.type}:{document.number}"


@dataclass(frozen=True, slots=True)
class Known:
    """A person as others may know them, and the gender, which is for statistics only."""

    person: Person
    gender: Gender | None = None


@dataclass(frozen=True, slots=True)
class Newcomer:
    """What a person who becomes known has stated, and when."""

    person_id: UUID
    details: PersonDetails
    at: datetime

    def contacts(self) -> list[tuple[str, str, UUID]]:
        """Kind and value of the e-mail and telephone number, and whose they are."""
        given = (("email", self.details.email), ("phone", self.details.phone))
        return [(kind, value, self.person_id) for kind, value in given if value]


class People:
    """Those whom a batch of commands is about, by identity: known before, or made known by it.

    `taken` are ids that are somebody's already. To be written afterwards: `newcomers`, `granted` (those known
    before whose roles have grown) and `consents`.
    """

    def __init__(self, known: Mapping[str, Known], *, taken: Collection[UUID] = ()) -> None:
        self.known = dict(known)
        self._taken = {*taken, *(one.person.person_id for one in known.values())}
        self.newcomers: dict[str, Newcomer] = {}
        self.granted: dict[UUID, Known] = {}
        self.consents: list[tuple[UUID, Consent]] = []

    def find(self, details: PersonDetails) -> Known | None:
        """Who has this identity."""
        return self.known.get(identity_of(details))

    def is_taken(self, person_id: UUID) -> bool:
        """Whether somebody has this id."""
        return person_id in self._taken

    def register(
        self, details: PersonDetails, *, person_id: UUID, roles: frozenset[Role], actor: Actor, at: datetime
    ) -> tuple[Known, tuple[Person, ...]]:
        """Find somebody, or make them known under this id: who they are, and their record if it has changed.

        What was stated first stands; later only an organiser adds roles, and only they or the person consent.
        """
        identity = identity_of(details)
        before = self.known.get(identity)
        team = actor.is_one_of({Role.ORGANISER})
        if before is None:
            now = _made_known(details, person_id=person_id, roles=roles)
            self.newcomers[identity] = Newcomer(person_id, details, at)
            self._taken.add(person_id)
        else:
            now = _united(before, roles) if team else before
        if before is None or team or actor.person_id == now.person.person_id:
            self.consents += [(now.person.person_id, consent) for consent in details.consents]
        if now is before:
            return now, ()
        self.known[identity] = now
        if identity not in self.newcomers:
            self.granted[now.person.person_id] = now
        return now, (now.person,)


def _made_known(details: PersonDetails, *, person_id: UUID, roles: frozenset[Role]) -> Known:
    person = Person(
        version=1,
        person_id=person_id,
        given=details.given,
        family=details.family,
        email=details.email,
        region=details.region,
        sector=details.sector,
        language=details.language,
        roles=roles,
    )
    return Known(person, details.gender)


def _united(known: Known, roles: frozenset[Role]) -> Known:
    before = known.person
    if roles <= before.roles:
        return known
    grown = before.model_copy(update={"roles": before.roles | roles, "version": before.version + 1})
    return replace(known, person=grown)


def person_problems(command: RegisterPerson, *, actor: Actor, people: People) -> list[Problem]:
    """Why a person cannot be registered so."""
    problems = []
    team = actor.is_one_of({Role.ORGANISER})
    if not team and command.person_id != actor.person_id:
        problems.append(Problem(code="not-allowed", field="person_id", detail={"reason": "somebody-else"}))
    found = people.find(command.person)
    if not team and found is not None and found.person.person_id != actor.person_id:
        # Without this, anyone could learn a stranger's id by their document.
        problems.append(Problem(code="not-allowed", field="person", detail={"reason": "somebody-else"}))
    granted = command.roles - _PARTICIPANT
    if granted and not team:
        problems.append(Problem(code="not-allowed", field="roles", detail={"reason": "role"}))
    elif granted & _EVERYWHERE and actor.regions:
        problems.append(Problem(code="not-allowed", field="roles", detail={"reason": "region"}))
    if found is None and people.is_taken(command.person_id):
        problems.append(Problem(code="id-taken", field="person_id"))
    return problems


class Place(StrEnum):
    """What a registration is worth."""

    CONFIRMED = "confirmed"
    WAITLISTED = "waitlisted"
    CANCELLED = "cancelled"


@dataclass(slots=True)
class Places:
    """The places of one meeting, given out one by one under the meeting's lock.

    `accepted` counts acceptances, also of registrations cancelled since. `later` are the instants, in order,
    at which those on the waitlist were accepted who may stand behind whoever comes now: commands are carried
    out roughly in the order of their acceptance, and the waitlist is exactly in that order.
    """

    capacity: int
    confirmed: int = 0
    waitlisted: int = 0
    accepted: int = 0
    later: list[datetime] = field(default_factory=list)

    def take(self, at: datetime) -> int | None:
        """Take a place, accepted at that instant: None, or the position on the waitlist."""
        self.accepted += 1
        if self.confirmed < self.capacity and not self.waitlisted:
            self.confirmed += 1
            return None
        ahead = bisect_right(self.later, at)
        position = self.waitlisted - (len(self.later) - ahead) + 1
        self.later.insert(ahead, at)
        self.waitlisted += 1
        return position

    def give_up(self, place: Place) -> None:
        """A place, or a place in line, is free."""
        if place is Place.CONFIRMED:
            self.confirmed -= 1
        elif place is Place.WAITLISTED:
            self.waitlisted -= 1

    @property
    def owed(self) -> bool:
        """Whether a free place belongs to the first in line."""
        return self.waitlisted > 0 and self.confirmed < self.capacity

    def promote(self) -> None:
        """The first in line takes a free place."""
        self.waitlisted -= 1
        self.confirmed += 1


@dataclass(frozen=True, slots=True)
class Meeting:
    """A meeting as the team keeps it; its places change under its lock only."""

    public: MeetingState
    published: bool
    version: int
    places: Places

    def has_started(self, at: datetime) -> bool:
        """Whether it is too late for changes in who comes."""
        return at >= self.public.starts_at


@dataclass(frozen=True, slots=True)
class Registration:
    """A person's place at a meeting; in line by the instant, then the number, of its acceptance."""

    public: RegistrationState
    place: Place
    accepted_at: datetime
    number: int
    version: int


def meeting_problems(command: CreateMeeting, *, actor: Actor) -> list[Problem]:
    """Why a meeting cannot be drafted so."""
    problems = []
    if not actor.covers(command.region):
        problems.append(Problem(code="not-allowed", field="region", detail={"reason": "region"}))
    if command.ends_at <= command.starts_at:
        problems.append(Problem(code="ends-before-start", field="ends_at"))
    return problems


def place_problems(
    command: RegisterParticipant, meeting: Meeting | None, *, actor: Actor, at: datetime
) -> list[Problem]:
    """Why a place at the meeting cannot be asked for so, then and by this actor."""
    if meeting is None:
        return [Problem(code="no-such-meeting", field="meeting_id")]
    problems = []
    if not meeting.published:
        problems.append(Problem(code="meeting-not-published", field="meeting_id"))
    if meeting.has_started(at):
        problems.append(Problem(code="meeting-started", field="meeting_id"))
    if command.person is not None and not actor.is_one_of({Role.ORGANISER}):
        problems.append(Problem(code="not-allowed", field="person", detail={"reason": "role"}))
    elif command.person is not None and not actor.covers(meeting.public.region):
        problems.append(Problem(code="not-allowed", field="meeting_id", detail={"reason": "region"}))
    return problems


def may_cancel(registration: Registration, meeting: Meeting, *, actor: Actor) -> bool:
    """One's own registration; the team, those of meetings in their regions."""
    if registration.public.person_id == actor.person_id:
        return True
    return actor.is_one_of({Role.ORGANISER}) and actor.covers(meeting.public.region)


def take_place(
    meeting: Meeting, who: RegistrationState, *, before: Registration | None, at: datetime
) -> tuple[Registration, RegistrationConfirmed | RegistrationWaitlisted]:
    """A place or a position on the waitlist, accepted at that instant; `before` is one that was cancelled."""
    version = before.version + 1 if before else 1
    position = meeting.places.take(at)
    place = Place.CONFIRMED if position is None else Place.WAITLISTED
    registration = Registration(who, place, at, meeting.places.accepted, version)
    if position is None:
        return registration, RegistrationConfirmed(**dict(who), version=version)
    return registration, RegistrationWaitlisted(**dict(who), version=version, position=position)


def give_up(meeting: Meeting, registration: Registration) -> tuple[Registration, RegistrationCancelled]:
    """A registration is cancelled, and its place free."""
    meeting.places.give_up(registration.place)
    now = replace(registration, place=Place.CANCELLED, version=registration.version + 1)
    return now, RegistrationCancelled(**dict(now.public), version=now.version)


def promote(meeting: Meeting, registration: Registration) -> tuple[Registration, RegistrationPromoted]:
    """A free place goes to this registration, the first in line."""
    meeting.places.promote()
    now = replace(registration, place=Place.CONFIRMED, version=registration.version + 1)
    return now, RegistrationPromoted(**dict(now.public), version=now.version)
