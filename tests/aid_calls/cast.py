"""Who and what plays in these tests: actors, calls, applications, rankings as the bus would hand them over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from uuid_utils.compat import uuid7

from services.aid_calls import commands, subscribers
from shared.contracts import Command, Fact
from shared.contracts.aid_calls import CreateCall, SubmitApplication, WithdrawApplication
from shared.contracts.evaluation import RankedApplication, RankingFinalised
from shared.contracts.people import Role, Sector
from shared.db import Tx
from shared.identity import Actor
from shared.messaging import By, Decision, Heard, Sender

C = TypeVar("C", bound=Command)

# The call closes at 13:00 in Lima.
OPENS_AT = datetime(2019, 9, 1, 5, 0, tzinfo=UTC)
CLOSES_AT = datetime(2019, 10, 1, 18, 0, tzinfo=UTC)
NOW = CLOSES_AT - timedelta(days=3)
AFTER = CLOSES_AT + timedelta(seconds=1)


def organiser(*regions: str) -> Actor:
    """Somebody of the team, of all regions unless told otherwise."""
    return Actor(uuid7(), frozenset({Role.ORGANISER}), frozenset(regions))


def participant(person_id: UUID | None = None) -> Actor:
    """Somebody who applies."""
    return Actor(person_id or uuid7(), frozenset({Role.PARTICIPANT}))


TEAM = organiser()


def by(actor: Actor, at: datetime = NOW) -> By:
    """On whose behalf, and when, with a fresh command id."""
    return By(uuid7(), actor, at)


def sent(command: C, actor: Actor, at: datetime = NOW) -> Sender[C]:
    """One command of a batch."""
    return Sender(command, by(actor, at))


def stated_rules(**changes: Any) -> dict[str, Any]:
    """The rules of a call in Cusco with a jury of two, as the team states them."""
    return {
        "code": f"MOV-{uuid7().hex.upper()[-12:]}",
        "title": "Ayudas de movilidad",
        "host_region": "08",
        "host_city": "Cusco",
        "opens_at": OPENS_AT,
        "closes_at": CLOSES_AT,
        "fund": "3000.00",
        "reserved_share_percent": 50,
        "reserved_excluding_regions": ["15"],
        "days": 4,
        "per_diem": "90.00",
        "ceiling": "1200.00",
        "fares": {"15": "420.00", "04": "160.00", "01": "780.00", "08": "0.00"},
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


def a_call(**changes: Any) -> CreateCall:
    """A command that enters a call."""
    return CreateCall.model_validate({"call_id": uuid7(), **stated_rules(**changes)})


def an_application(call_id: UUID, **changes: Any) -> SubmitApplication:
    """A command of somebody grown-up from Arequipa, which may have 520.00: fare and four days."""
    stated = {
        "application_id": uuid7(),
        "call_id": call_id,
        "region": "04",
        "birth": "1990-05-04",
        "sector": Sector.MUSIC,
        "requested": "900.00",
        "project": "Festival de verano",
        "motivation": "Programar en circuito.",
    }
    return SubmitApplication.model_validate({**stated, **changes})


async def entered(tx: Tx, **changes: Any) -> UUID:
    """A call of the team, open unless its dates say otherwise."""
    command = a_call(**changes)
    assert (await commands.create_call(tx, command, by(TEAM))).problems == ()
    await commands.open_and_close_calls(tx, NOW)
    return command.call_id


async def applied_to(tx: Tx, call_id: UUID, *changes: dict[str, Any]) -> list[SubmitApplication]:
    """Applications of as many people, accepted one after the other."""
    applications = [an_application(call_id, **one) for one in changes]
    senders = [sent(one, participant(), NOW + timedelta(seconds=n)) for n, one in enumerate(applications)]
    decisions = await commands.submit_applications(tx, senders)
    assert [decision.problems for decision in decisions] == [()] * len(senders)
    return applications


async def closed_and_ruled(tx: Tx) -> Sequence[Fact]:
    """The clock closes what is due, and rules on the applications."""
    await commands.open_and_close_calls(tx, AFTER)
    return await commands.rule_on_applications(tx, AFTER)


def a_ranking(call_id: UUID, *totals: tuple[UUID, str]) -> RankingFinalised:
    """An order of merit: applications with their totals, best first."""
    return RankingFinalised(
        version=1,
        call_id=call_id,
        ranking=tuple(
            RankedApplication.model_validate(
                {"application_id": key, "rank": rank, "total": total, "criterion_means": ["8.00", "8.00"], "reviews": 2}
            )
            for rank, (key, total) in enumerate(totals, start=1)
        ),
    )


async def heard(tx: Tx, *rankings: RankingFinalised) -> list[Fact]:
    """What hearing these rankings together leads to."""
    return list(await subscribers.on_ranking_finalised(tx, [Heard(one, uuid7(), AFTER) for one in rankings]))


def withdrawal(application_id: UUID) -> WithdrawApplication:
    """A command that withdraws an application."""
    return WithdrawApplication(application_id=application_id)


def codes(decision: Decision) -> list[tuple[str, str | None]]:
    """What is wrong, and where."""
    return [(problem.code, problem.field) for problem in decision.problems]


async def states(tx: Tx, call_id: UUID) -> dict[UUID, tuple[str, int]]:
    """State and version of every application of a call."""
    rows = await tx.fetch(
        "select application_id, state, version from aid_calls.applications where call_id = $1", call_id
    )
    return {row["application_id"]: (row["state"], row["version"]) for row in rows}


async def call_state(tx: Tx, call_id: UUID) -> tuple[Any, ...]:
    """State, version and money awarded of a call."""
    row = await tx.fetchrow("select state, version, total_awarded from aid_calls.calls where call_id = $1", call_id)
    assert row is not None
    return tuple(row)
