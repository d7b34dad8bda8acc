"""The published language of registration: people and their roles, meetings, registrations."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.base import Answer, Command, Fact, Question, Record
from shared.contracts.people import (
    STORABLE,
    Code,
    Document,
    Email,
    Gender,
    Instant,
    Language,
    PersonalName,
    PersonDetails,
    RegionCode,
    Role,
    Sector,
    Title,
)
from shared.contracts.status import CommandOutcomeAnswer, ServiceStatusAnswer

TEAM = {Role.ORGANISER, Role.OPERATOR}

Capacity = Annotated[int, Field(ge=1, le=100_000)]


class RegisterPerson(
    Command, type="pe.conecta.registration.register-person.v1", may={Role.ORGANISER, Role.PARTICIPANT}
):
    """A person is made known, or found again by document (without one: by e-mail). Answers `person_id`.

    Sent when somebody opens an account, when the team enters evaluators or staff, and by imports. Roles other
    than participant are granted only by an organiser.
    """

    person_id: UUID
    person: PersonDetails
    roles: frozenset[Role] = frozenset({Role.PARTICIPANT})


class CreateMeeting(Command, type="pe.conecta.registration.create-meeting.v1", may={Role.ORGANISER}):
    """The team drafts a meeting; nobody else sees it yet. Answers `meeting_id`."""

    meeting_id: UUID
    code: Code
    title: Title
    theme: Title
    city: Title
    region: RegionCode
    venue: Annotated[str, Field(max_length=300), STORABLE] = ""
    starts_at: Instant
    ends_at: Instant
    capacity: Capacity


class PublishMeeting(Command, type="pe.conecta.registration.publish-meeting.v1", may={Role.ORGANISER}):
    """The team publishes a drafted meeting, which opens its registration."""

    meeting_id: UUID


class RegisterParticipant(
    Command,
    type="pe.conecta.registration.register-participant.v1",
    may={Role.PARTICIPANT, Role.ORGANISER},
):
    """A place at a meeting is asked for: by a participant for themself, or by the team with the person's details.

    Answers `registration_id` and `person_id`; asking twice is one registration. When the meeting is full the
    place is on the waitlist, which is an applied outcome too.
    """

    registration_id: UUID
    meeting_id: UUID
    person: PersonDetails | None = None


class CancelRegistration(
    Command,
    type="pe.conecta.registration.cancel-registration.v1",
    may={Role.PARTICIPANT, Role.ORGANISER},
):
    """A registration is given up by its person or the team; the place goes to the first of the waitlist."""

    registration_id: UUID


class Person(Record, type="pe.conecta.registration.person.v1", about="person_id"):
    """What other services may know of a person, last value only; `erased` when nothing is left to know."""

    person_id: UUID
    given: PersonalName | None = None
    family: PersonalName | None = None
    email: Email | None = None
    region: RegionCode | None = None
    sector: Sector | None = None
    language: Language = Language.ES
    roles: frozenset[Role] = frozenset()
    erased: bool = False


class MeetingState(BaseModel):
    """The public state of a meeting."""

    model_config = ConfigDict(frozen=True)

    meeting_id: UUID
    code: Code
    title: Title
    theme: Title
    city: Title
    region: RegionCode
    venue: str
    starts_at: Instant
    ends_at: Instant
    capacity: Annotated[int, Field(description="places")]


class MeetingCreated(Fact, MeetingState, type="pe.conecta.registration.meeting-created.v1", about="meeting_id"):
    """A meeting has been drafted."""


class MeetingPublished(Fact, MeetingState, type="pe.conecta.registration.meeting-published.v1", about="meeting_id"):
    """A meeting has been published: registration is open."""


class RegistrationState(BaseModel):
    """The public state of a registration: who is an id, the rest is for statistics."""

    model_config = ConfigDict(frozen=True)

    registration_id: UUID
    meeting_id: UUID
    person_id: UUID
    region: RegionCode | None = None
    sector: Sector | None = None
    gender: Gender | None = None


class RegistrationConfirmed(
    Fact,
    RegistrationState,
    type="pe.conecta.registration.registration-confirmed.v1",
    about="registration_id",
    within="meeting_id",
):
    """A person has a place at a meeting."""


class RegistrationWaitlisted(
    Fact,
    RegistrationState,
    type="pe.conecta.registration.registration-waitlisted.v1",
    about="registration_id",
    within="meeting_id",
):
    """The meeting was full: a person is on the waitlist, in order of acceptance."""

    position: int = Field(ge=1, description="on the waitlist, from 1")


class RegistrationPromoted(
    Fact,
    RegistrationState,
    type="pe.conecta.registration.registration-promoted.v1",
    about="registration_id",
    within="meeting_id",
):
    """A place was freed and went to this person, the first on the waitlist."""


class RegistrationCancelled(
    Fact,
    RegistrationState,
    type="pe.conecta.registration.registration-cancelled.v1",
    about="registration_id",
    within="meeting_id",
):
    """A registration was given up."""


class MeetingAnswer(Answer, MeetingState):
    """A meeting as everybody may see it, with how many places are taken."""

    state: Literal["draft", "published", "held", "cancelled"]
    confirmed: int
    waitlisted: int


class Meeting(Question, type="pe.conecta.registration.meeting.v1", answer=MeetingAnswer):
    """Which meeting has this code? Error `no-such-meeting` if none is published under it."""

    code: Code


class PersonFound(Answer):
    """The id of a known person, or None."""

    person_id: UUID | None


class FindPerson(Question, type="pe.conecta.registration.find-person.v1", answer=PersonFound, may=TEAM):
    """Is there a person with this document?"""

    document: Document


class RegistrationCountsAnswer(Answer):
    """How many people registered, and from where: region code to people, sector to people."""

    confirmed: int
    waitlisted: int
    cancelled: int
    people: int
    by_region: dict[str, int]
    by_sector: dict[str, int]


class RegistrationCounts(
    Question,
    type="pe.conecta.registration.registration-counts.v1",
    answer=RegistrationCountsAnswer,
    may=TEAM,
):
    """How many registrations has a meeting, and from which regions and sectors?"""

    meeting_id: UUID


class CommandOutcome(
    Question,
    type="pe.conecta.registration.command-outcome.v1",
    answer=CommandOutcomeAnswer,
):
    """What became of a command sent to registration? Whoever knows its id may ask."""

    command_id: UUID


class ServiceStatus(Question, type="pe.conecta.registration.service-status.v1", answer=ServiceStatusAnswer, may=TEAM):
    """How far behind is registration?"""
