"""What a call and an application are, and the rules on them. Pure: no clock, no I/O.

Rules: domain.md, "Calls". Facts are the contracts' own classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from services.aid_calls.allocation import Allocation
from shared.contracts.aid_calls import (
    AidAwarded,
    AidReserved,
    ApplicationNotSelected,
    ApplicationRuledEligible,
    ApplicationRuledIneligible,
    ApplicationState,
    CallRules,
    SubmitApplication,
)
from shared.contracts.evaluation import RankedApplication
from shared.contracts.people import Sector, half_up
from shared.contracts.wire import Problem

Ruling = ApplicationRuledEligible | ApplicationRuledIneligible
Result = AidAwarded | AidReserved | ApplicationNotSelected

ADULT = 18
PERU = "PE"
# Lima has no summer time: UTC-5 all year.
LIMA = timedelta(hours=-5)
# States in which an application may still be withdrawn.
UNAWARDED = frozenset({"submitted", "eligible", "ineligible"})


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it stands."""

    call_id: UUID
    state: str
    version: int
    rules: CallRules

    def public(self) -> dict[str, Any]:
        """What every fact about it carries."""
        return {"call_id": self.call_id, **dict(self.rules)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """An application as it stands; `documents` are the kinds attached, amounts in the call's currency."""

    application_id: UUID
    call_id: UUID
    person_id: UUID
    country: str
    region: str | None
    birth: date
    sector: Sector
    requested: Decimal
    aid: Decimal
    accepted_at: datetime
    documents: frozenset[str]
    state: str = "submitted"
    version: int = 1

    @property
    def key(self) -> tuple[UUID, UUID, UUID]:
        """What it is known by where several are entered at once."""
        return self.application_id, self.call_id, self.person_id

    @property
    def applicant(self) -> tuple[UUID, UUID]:
        """Who applies to which call: once, unless withdrawn."""
        return self.call_id, self.person_id

    def public(self) -> dict[str, Any]:
        """What every fact about it carries."""
        return {name: getattr(self, name) for name in ApplicationState.model_fields}


def call_problems(rules: CallRules) -> tuple[Problem, ...]:
    """Everything that is wrong with the rules of a call, beyond the form of each field."""
    return tuple(_call_problems(rules))


def _call_problems(rules: CallRules) -> Iterator[Problem]:
    if rules.closes_at <= rules.opens_at:
        yield Problem(code="closes-before-opening", field="closes_at")
    if rules.score_max <= rules.score_min:
        yield Problem(code="score-range-empty", field="score_max")
    if rules.score_max <= 0 or rules.score_min < 0:
        yield Problem(code="score-range-not-positive", field="score_min")
    weights = sum(criterion.weight for criterion in rules.criteria)
    if weights != 100:
        yield Problem(code="weights-not-100", field="criteria", detail={"sum": weights})
    keys = [criterion.key for criterion in rules.criteria]
    for key in sorted({key for key in keys if keys.count(key) > 1}):
        yield Problem(code="repeated-criterion", field="criteria", detail={"key": key})
    if not rules.fares:
        yield Problem(code="required", field="fares")


def application_problems(command: SubmitApplication, call: Call, *, stored_at: datetime) -> list[Problem]:
    """Why an application that the bus stored at that instant is not accepted, all reasons at once."""
    problems = []
    if command.country == PERU and command.region is None:
        problems.append(Problem(code="required", field="region"))
    if problem := untimely(call.rules, stored_at=stored_at):
        problems.append(problem)
    elif call.state == "results-published":
        problems.append(Problem(code="results-published", field="call_id"))
    return problems


def untimely(rules: CallRules, *, stored_at: datetime) -> Problem | None:
    """What is wrong with the moment at which the bus stored an application: at `closes_at` it is still in time."""
    if stored_at < rules.opens_at:
        return Problem(code="call-not-open", detail={"opens_at": rules.opens_at.isoformat()})
    if stored_at > rules.closes_at:
        return Problem(code="late", detail={"closes_at": rules.closes_at.isoformat()})
    return None


def aid_amount(rules: CallRules, *, region: str | None, requested: Decimal) -> Decimal:
    """The smallest of: requested, tariff (fare + per diem × days), ceiling; nothing where no tariff is."""
    fare = rules.fares.get(region or "")
    if fare is None:
        return Decimal("0.00")
    return half_up(min(requested, fare + rules.per_diem * rules.days, rules.ceiling))


def application(command: SubmitApplication, *, person_id: UUID, accepted_at: datetime, rules: CallRules) -> Application:
    """What a command to apply becomes."""
    return Application(
        application_id=command.application_id,
        call_id=command.call_id,
        person_id=person_id,
        country=command.country,
        region=command.region,
        birth=command.birth,
        sector=command.sector,
        requested=command.requested,
        aid=aid_amount(rules, region=command.region, requested=command.requested),
        accepted_at=accepted_at,
        documents=frozenset(document.kind for document in command.documents),
    )


def ineligibility(rules: CallRules, application: Application) -> tuple[str, ...]:
    """Every rule of eligibility that an application fails, as stable codes."""
    return tuple(_ineligibility(rules, application))


def _ineligibility(rules: CallRules, application: Application) -> Iterator[str]:
    if application.country != PERU or application.region is None:
        yield "resides-outside-peru"
    elif application.region == rules.host_region:
        yield "resides-in-host-region"
    elif application.region not in rules.fares:
        yield "region-without-fare"
    if age(application.birth, on=(rules.closes_at + LIMA).date()) < ADULT:
        yield "under-18"
    for kind in dict.fromkeys(rules.required_documents):
        if kind not in application.documents:
            yield f"missing-document-{kind}"


def age(birth: date, *, on: date) -> int:
    """Completed years on a day."""
    return on.year - birth.year - ((on.month, on.day) < (birth.month, birth.day))


def ruling(rules: CallRules, application: Application) -> Ruling:
    """The ruling on an application: eligible, or every rule that it fails."""
    reasons = ineligibility(rules, application)
    public, version = application.public(), application.version + 1
    if reasons:
        return ApplicationRuledIneligible(**public, version=version, reasons=reasons)
    return ApplicationRuledEligible(**public, version=version)


def results(
    allocation: Allocation,
    *,
    applications: Mapping[UUID, Application],
    places: Mapping[UUID, RankedApplication],
    currency: Literal["PEN"],
) -> list[Result]:
    """What an allocation means for each application: awards, then the reserve list, then the rest."""

    def told(application_id: UUID) -> dict[str, Any]:
        application, place = applications[application_id], places[application_id]
        return {
            **application.public(),
            "version": application.version + 1,
            "rank": place.rank,
            "total": place.total,
        }

    return [
        *(
            AidAwarded(**told(award.application_id), amount=award.amount, currency=currency, money=award.money)
            for award in allocation.awards
        ),
        *(
            AidReserved(**told(application_id), position=position)
            for position, application_id in enumerate(allocation.reserve, start=1)
        ),
        *(ApplicationNotSelected(**told(application_id)) for application_id in allocation.not_selected),
    ]
