"""Who and what plays in these tests: actors, facts as they are heard, commands as the bus would hand them over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, TypeVar
from uuid import UUID

from uuid_utils.compat import uuid7

from services.evaluation import commands
from services.evaluation.app import SERVICE
from shared.contracts import Command, Fact
from shared.contracts.aid_calls import (
    ApplicationRuledEligible,
    ApplicationSubmitted,
    CallClosed,
    CallOpened,
)
from shared.contracts.evaluation import AssignEvaluator, SubmitReview
from shared.contracts.people import Role, Sector
from shared.db import Tx
from shared.identity import Actor
from shared.messaging import By, Decision, Heard, Sender

C = TypeVar("C", bound=Command)

NOW = datetime(2019, 10, 1, 18, 0, tzinfo=UTC)
AWARD: dict[str, Any] = {"currency": "PEN", "money": "general", "rank": 1, "total": "98.75"}
GOOD, FAIR, POOR = ({"relevance": score, "networks": score} for score in ("10", "8", "3"))


def organiser(*regions: str) -> Actor:
    """Somebody of the team, of all regions unless told otherwise."""
    return Actor(uuid7(), frozenset({Role.ORGANISER}), frozenset(regions))


def evaluator() -> Actor:
    """Somebody of the jury."""
    return Actor(uuid7(), frozenset({Role.EVALUATOR}))


TEAM = organiser()


def by(actor: Actor = TEAM, at: datetime = NOW) -> By:
    """On whose behalf, and when, with a fresh command id."""
    return By(uuid7(), actor, at)


def sent(command: C, actor: Actor, at: datetime = NOW) -> Sender[C]:
    """One command of a batch."""
    return Sender(command, by(actor, at))


def the_rules(**changes: Any) -> dict[str, Any]:
    """The public state of a call in Cusco, with two criteria and a jury of two."""
    call_id = uuid7()
    return {
        "call_id": call_id,
        "code": f"MOV-{call_id.hex.upper()[-12:]}",
        "title": "Ayudas de movilidad",
        "host_region": "08",
        "host_city": "Cusco",
        "opens_at": NOW - timedelta(days=30),
        "closes_at": NOW - timedelta(days=1),
        "fund": "5000.00",
        "days": 4,
        "per_diem": "90.00",
        "ceiling": "1200.00",
        "fares": {"15": "420.00", "04": "160.00"},
        "criteria": [
            {"key": "relevance", "name": "Pertinencia", "weight": 60},
            {"key": "networks", "name": "Redes", "weight": 40},
        ],
        "score_min": "0",
        "score_max": "10",
        "reviews_required": 2,
        "divergence_over": "20",
        "minimum_total": "60",
        **changes,
    }


def the_application(call_id: UUID, **changes: Any) -> dict[str, Any]:
    """The public state of an application from Lima."""
    return {
        "application_id": uuid7(),
        "call_id": call_id,
        "person_id": uuid7(),
        "region": "15",
        "sector": Sector.MUSIC,
        "requested": "780.00",
        "aid": "780.00",
        "accepted_at": NOW - timedelta(days=2),
        **changes,
    }


def the_meeting(**changes: Any) -> dict[str, Any]:
    """The public state of a meeting in Cusco."""
    meeting_id = uuid7()
    return {
        "meeting_id": meeting_id,
        "code": f"CONECTA-{meeting_id.hex.upper()[-12:]}",
        "title": "Encuentro CONECTA Cusco",
        "theme": "Gestión de festivales",
        "city": "Cusco",
        "region": "08",
        "venue": "",
        "starts_at": NOW,
        "ends_at": NOW + timedelta(days=3),
        "capacity": 120,
        **changes,
    }


def the_registration(**changes: Any) -> dict[str, Any]:
    """The public state of a registration of somebody from Cusco."""
    return {
        "registration_id": uuid7(),
        "meeting_id": uuid7(),
        "person_id": uuid7(),
        "region": "08",
        "sector": Sector.MUSIC,
        **changes,
    }


async def hear(tx: Tx, facts: Iterable[Fact]) -> None:
    """What the service does when it hears these facts together: runs of one kind go to their subscriber."""
    for kind, run in groupby(facts, key=type):
        led_to = await SERVICE.facts[kind](tx, [Heard(fact, uuid7(), NOW) for fact in run])
        assert list(led_to) == []


async def a_closed_call(tx: Tx, *, applications: int = 1, **changes: Any) -> tuple[UUID, list[UUID]]:
    """A closed call with eligible applications, heard; the first was accepted first."""
    rules = the_rules(**changes)
    call_id = rules["call_id"]
    states = [
        the_application(call_id, accepted_at=NOW - timedelta(days=2) + timedelta(seconds=number))
        for number in range(applications)
    ]
    facts: list[Fact] = [CallOpened(**rules, version=2)]
    facts += [ApplicationSubmitted(**state, version=1) for state in states]
    facts += [CallClosed(**rules, version=3)]
    facts += [ApplicationRuledEligible(**state, version=2) for state in states]
    await hear(tx, facts)
    return call_id, [state["application_id"] for state in states]


async def assigned(tx: Tx, call_id: UUID, member: Actor, *application_ids: UUID) -> Decision:
    """The team gives applications to an evaluator."""
    command = AssignEvaluator(call_id=call_id, evaluator_id=member.person_id, application_ids=application_ids)
    return await commands.assign_evaluator(tx, command, by())


def a_review(application_id: UUID, scores: Mapping[str, Any], comment: str = "Sustento.") -> SubmitReview:
    """A command that reviews an application."""
    return SubmitReview.model_validate({"application_id": application_id, "scores": scores, "comment": comment})


async def reviewed(tx: Tx, *reviews: tuple[Actor, UUID, Mapping[str, Any]]) -> Sequence[Decision]:
    """Reviews of a batch, one second after the other."""
    return await commands.submit_reviews(
        tx,
        [
            sent(a_review(application_id, scores), member, NOW + timedelta(seconds=place))
            for place, (member, application_id, scores) in enumerate(reviews)
        ],
    )


async def panel_of(tx: Tx, call_id: UUID, *application_ids: UUID, scores: Sequence[Mapping[str, Any]]) -> list[Actor]:
    """A jury that has the applications, and has reviewed each of them with these scores, in this order."""
    jury = []
    for given in scores:
        member = evaluator()
        decisions = [
            await assigned(tx, call_id, member, *application_ids),
            *await reviewed(tx, *((member, key, given) for key in application_ids)),
        ]
        assert [decision.problems for decision in decisions] == [()] * len(decisions)
        jury.append(member)
    return jury


def codes(decision: Decision) -> list[tuple[str, str | None]]:
    """What is wrong, and where."""
    return [(problem.code, problem.field) for problem in decision.problems]
