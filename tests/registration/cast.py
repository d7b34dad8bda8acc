"""Who and what plays in these tests: people, actors, meetings, commands as the bus would hand them over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from uuid_utils.compat import uuid7

from shared.contracts import Command
from shared.contracts.people import Document, Gender, PersonDetails, Role, Sector
from shared.contracts.registration import (
    CancelRegistration,
    CreateMeeting,
    PublishMeeting,
    RegisterParticipant,
    RegisterPerson,
)
from shared.identity import Actor
from shared.messaging import By, Sender

C = TypeVar("C", bound=Command)

# When the tests play: meetings start a month later.
NOW = datetime(2019, 10, 1, 13, 0, tzinfo=UTC)
STARTS_AT = NOW + timedelta(days=30)


def organiser(*regions: str) -> Actor:
    """Somebody of the team, of all regions unless told otherwise."""
    return Actor(uuid7(), frozenset({Role.ORGANISER}), frozenset(regions))


def participant(person_id: UUID | None = None) -> Actor:
    """Somebody who speaks for themself."""
    return Actor(person_id or uuid7(), frozenset({Role.PARTICIPANT}))


def by(actor: Actor, at: datetime = NOW) -> By:
    """On whose behalf, and when, with a fresh command id."""
    return By(uuid7(), actor, at)


def sent(command: C, actor: Actor, at: datetime = NOW) -> Sender[C]:
    """One command of a batch."""
    return Sender(command, by(actor, at))


def rosa(number: int | None = None, **changes: Any) -> PersonDetails:
    """A person with the DNI of that number; without one, known by e-mail only."""
    document = None if number is None else Document(number=f"{number:08}")
    stated = {
        "document": document,
        "given": "Rosa",
        "family": "Quispe Huamán",
        "email": f"rosa{'' if number is None else number}@example.org",
        "region": "08",
        "sector": Sector.MUSIC,
        "gender": Gender.WOMAN,
    }
    return PersonDetails(**{**stated, **changes})


def known_as(details: PersonDetails, person_id: UUID | None = None, **changes: Any) -> RegisterPerson:
    """A command that makes somebody known."""
    return RegisterPerson(person_id=person_id or uuid7(), person=details, **changes)


def a_meeting(**changes: Any) -> CreateMeeting:
    """A command that drafts a meeting in Cusco, with a code of its own."""
    meeting_id = uuid7()
    stated = {
        "meeting_id": meeting_id,
        "code": f"CONECTA-{meeting_id.hex.upper()[-12:]}",
        "title": "Encuentro CONECTA Cusco",
        "theme": "Gestión de festivales",
        "city": "Cusco",
        "region": "08",
        "starts_at": STARTS_AT,
        "ends_at": STARTS_AT + timedelta(days=3),
        "capacity": 2,
    }
    return CreateMeeting(**{**stated, **changes})


def published(meeting_id: UUID) -> PublishMeeting:
    """A command that publishes a meeting."""
    return PublishMeeting(meeting_id=meeting_id)


def a_place(meeting_id: UUID, details: PersonDetails | None = None, **changes: Any) -> RegisterParticipant:
    """A command that asks for a place, for oneself or for somebody else."""
    return RegisterParticipant(**{"registration_id": uuid7(), "meeting_id": meeting_id, "person": details, **changes})


def no_place(registration_id: UUID | str) -> CancelRegistration:
    """A command that gives a registration up."""
    return CancelRegistration(registration_id=UUID(str(registration_id)))
