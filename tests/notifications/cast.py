"""Who and what plays in these tests: people, a meeting, a call, and what happens to them, as facts."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from uuid_utils.compat import uuid7

from services.notifications.domain import Mail, Template
from shared.contracts import Fact, Record
from shared.contracts.aid_calls import CallOpened
from shared.contracts.people import Language, Role, Sector
from shared.contracts.registration import MeetingPublished, Person
from shared.identity import Actor
from shared.messaging import By, Heard

F = TypeVar("F", bound="Fact | Record")

NOW = datetime(2019, 10, 1, 13, 0, tzinfo=UTC)
MEETING = "CONECTA Festivales: circuitos de música y artes escénicas"
CALL = "Ayudas a la movilidad para los festivales de Cusco"


def heard(fact: F, fact_id: UUID | None = None) -> Heard[F]:
    """A fact as the bus would hand it over."""
    return Heard(fact, fact_id or uuid7(), NOW)


def by(*regions: str, role: Role = Role.ORGANISER) -> By:
    """On behalf of somebody of the team."""
    return By(uuid7(), Actor(uuid7(), frozenset({role}), frozenset(regions)), NOW)


def rosa(person_id: UUID | None = None, **changes: Any) -> Person:
    """A person as the stream PEOPLE says."""
    known = {
        "version": 1,
        "person_id": person_id or uuid7(),
        "given": "Rosa",
        "family": "Quispe Ñahui",
        "email": "rosa@example.org",
        "language": Language.ES,
    }
    return Person.model_validate({**known, **changes})


def meeting(meeting_id: UUID | None = None, **changes: Any) -> MeetingPublished:
    """A meeting in Cusco, at 9 in the morning."""
    known = {
        "version": 2,
        "meeting_id": meeting_id or uuid7(),
        "code": "FESTIVALES-2019",
        "title": MEETING,
        "theme": "festivales",
        "city": "Cusco",
        "region": "08",
        "venue": "Centro de Convenciones",
        "starts_at": datetime(2019, 9, 12, 14, tzinfo=UTC),
        "ends_at": datetime(2019, 9, 14, 23, tzinfo=UTC),
        "capacity": 120,
    }
    return MeetingPublished.model_validate({**known, **changes})


def call(call_id: UUID | None = None, **changes: Any) -> CallOpened:
    """A call for aids, which closes at one in the afternoon."""
    known = {
        "version": 2,
        "call_id": call_id or uuid7(),
        "code": "MOV-CUSCO-2019",
        "title": CALL,
        "host_region": "08",
        "host_city": "Cusco",
        "opens_at": datetime(2019, 5, 12, 14, tzinfo=UTC),
        "closes_at": datetime(2019, 6, 12, 18, tzinfo=UTC),
        "fund": "13500.00",
        "days": 4,
        "per_diem": "90",
        "ceiling": "1200",
        "fares": {"15": "420"},
        "criteria": [{"key": "relevance", "name": "Pertinencia", "weight": 100}],
        "score_min": 0,
        "score_max": 10,
        "divergence_over": "20",
        "minimum_total": "60",
    }
    return CallOpened.model_validate({**known, **changes})


def registration(of: UUID, at: UUID) -> dict[str, Any]:
    """The state of a registration."""
    return {"version": 1, "registration_id": uuid7(), "meeting_id": at, "person_id": of, "region": "15"}


def application(of: UUID, to: UUID) -> dict[str, Any]:
    """The state of an application, accepted a second and a bit before one."""
    return {
        "version": 1,
        "application_id": uuid7(),
        "call_id": to,
        "person_id": of,
        "region": "15",
        "sector": Sector.MUSIC,
        "requested": "850",
        "aid": "850",
        "accepted_at": datetime(2019, 6, 12, 17, 59, 58, 654321, tzinfo=UTC),
    }


def mail(template: Template = Template.AID_AWARDED, **changes: Any) -> Mail:
    """A mail with something for every place that a template may have."""
    given = changes.get("given", "Rosa")
    values = {
        "given": given,
        "title": MEETING,
        "code": "MOV-CUSCO-2019",
        "city": "Cusco",
        "place": "Centro de Convenciones, Cusco",
        "starts_at": datetime(2019, 9, 12, 14, tzinfo=UTC),
        "ends_at": datetime(2019, 9, 14, 23, tzinfo=UTC),
        "closes_at": datetime(2019, 6, 12, 18, tzinfo=UTC),
        "application_id": "0196b1c2-7d4e-7a11-8c52-3f5e9d0a4b17",
        "accepted_at": "2019-06-12T17:59:58.654321+00:00",
        "position": 3,
        "added": 4,
        "assigned": 12,
        "total": "93.5",
        "minimum_total": Decimal("60.00"),
        "amount": {"amount": "1150.00", "currency": "PEN"},
        "reasons": ["resides-in-host-region"],
        **changes.pop("values", {}),
    }
    known = {
        "delivery_id": uuid7(),
        "fact_id": uuid7(),
        "person_id": uuid7(),
        "template": template,
        "language": "es",
        "given": given,
        "family": "Quispe Ñahui",
        "address": "rosa@example.org",
        "values": values,
    }
    return Mail(**{**known, **changes})
