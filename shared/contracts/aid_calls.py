"""The published language of aid_calls: calls for mobility aids, applications, awards."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.base import Answer, Command, Fact, Question
from shared.contracts.people import (
    BirthDate,
    Code,
    Instant,
    LongText,
    Money,
    Percent,
    PositiveMoney,
    RegionCode,
    Role,
    Sector,
    Title,
    plain,
)
from shared.contracts.status import CommandOutcomeAnswer, ServiceStatusAnswer

TEAM = {Role.ORGANISER, Role.OPERATOR}

Key = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$", examples=["relevance"])]
Score = Annotated[Decimal, Field(max_digits=6, decimal_places=2, allow_inf_nan=False), plain(2)]
Total = Annotated[Decimal, Field(ge=0, le=100, max_digits=5, decimal_places=2, description="0–100"), plain(2)]
Rank = Annotated[int, Field(description="place in the order of merit, from 1")]


class Criterion(BaseModel):
    """One criterion of the jury; the weights of a call add to 100."""

    model_config = ConfigDict(frozen=True)

    key: Key
    name: Title
    weight: Annotated[int, Field(ge=1, le=100)]


class StatedCriterion(Criterion):
    """A criterion as the team enters it: unknown fields are refused, which hearers of facts must not do."""

    model_config = ConfigDict(extra="forbid")


class CallRules(BaseModel):
    """The rules (bases) of a call: frozen when it opens. Amounts are in `currency`.

    `fares` is by region of origin; the tariff of a region is fare + per diem × days.
    """

    model_config = ConfigDict(frozen=True)

    code: Code
    title: Title
    meeting_id: UUID | None = None
    host_region: RegionCode
    host_city: Title
    opens_at: Instant
    closes_at: Annotated[Instant, Field(description="UTC; an application stored at this instant is in time")]
    currency: Literal["PEN"] = "PEN"
    fund: Money
    reserved_share_percent: Annotated[Percent, Field(description="of the fund, for the first pass")] = 0
    reserved_excluding_regions: Annotated[
        tuple[RegionCode, ...], Field(description="regions of residence that the reserved share is not for")
    ] = ()
    days: Annotated[int, Field(ge=1, le=60)]
    per_diem: Money
    ceiling: Annotated[Money, Field(description="no aid is larger")]
    fares: Annotated[dict[RegionCode, Money], Field(description="by region of residence")]
    criteria: Annotated[tuple[Criterion, ...], Field(min_length=1, max_length=20)]
    score_min: Score
    score_max: Score
    reviews_required: Annotated[int, Field(ge=1, le=9)] = 2
    divergence_over: Annotated[Total, Field(description="two totals further apart need a third review")]
    minimum_total: Annotated[Total, Field(description="no award below it")]
    required_documents: Annotated[tuple[Key, ...], Field(max_length=20)] = ()


class CreateCall(Command, CallRules, type="pe.conecta.aid_calls.create-call.v1", may={Role.ORGANISER}):
    """The team enters a call with its rules; it opens and closes by the clock. Answers `call_id`."""

    call_id: UUID
    criteria: Annotated[tuple[StatedCriterion, ...], Field(min_length=1, max_length=20)]


class AttachedDocument(BaseModel):
    """A document of an application, by the hash of its content."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Key
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class SubmitApplication(Command, type="pe.conecta.aid_calls.submit-application.v1", may={Role.PARTICIPANT}):
    """A participant applies for an aid. Late is decided by the time the bus stored this command.

    One application per person and call: a second one is rejected (`already-applied`). Answers `application_id`.
    """

    application_id: UUID
    call_id: UUID
    country: Annotated[str, Field(pattern="^[A-Z]{2}$", description="of residence, ISO 3166-1")] = "PE"
    region: RegionCode | None = Field(default=None, description="of residence, if in Peru")
    birth: BirthDate
    sector: Sector
    requested: PositiveMoney
    project: Title
    motivation: LongText = ""
    documents: Annotated[tuple[AttachedDocument, ...], Field(max_length=20)] = ()


class WithdrawApplication(Command, type="pe.conecta.aid_calls.withdraw-application.v1", may={Role.PARTICIPANT}):
    """An applicant withdraws, at any time before the award."""

    application_id: UUID


class CallState(CallRules):
    """The public state of a call."""

    call_id: UUID


class CallOpened(Fact, CallState, type="pe.conecta.aid_calls.call-opened.v1", about="call_id"):
    """A call has opened, at `opens_at`: its rules are frozen."""


class CallClosed(Fact, CallState, type="pe.conecta.aid_calls.call-closed.v1", about="call_id"):
    """A call has closed, at `closes_at`, by the clock."""


class ApplicationState(BaseModel):
    """The public state of an application. `aid` is what would be granted; `accepted_at` when the bus stored it."""

    model_config = ConfigDict(frozen=True)

    application_id: UUID
    call_id: UUID
    person_id: UUID
    region: RegionCode | None
    sector: Sector
    requested: Money
    aid: Annotated[Money, Field(description="the smallest of requested, tariff and ceiling")]
    accepted_at: Annotated[Instant, Field(description="UTC; when the bus stored the application")]


class ApplicationSubmitted(
    Fact,
    ApplicationState,
    type="pe.conecta.aid_calls.application-submitted.v1",
    about="application_id",
    within="call_id",
):
    """An application was accepted in time."""


class ApplicationWithdrawn(
    Fact,
    ApplicationState,
    type="pe.conecta.aid_calls.application-withdrawn.v1",
    about="application_id",
    within="call_id",
):
    """An applicant withdrew."""


class ApplicationRuledEligible(
    Fact,
    ApplicationState,
    type="pe.conecta.aid_calls.application-ruled-eligible.v1",
    about="application_id",
    within="call_id",
):
    """An application meets every rule of eligibility and goes to the jury."""


class ApplicationRuledIneligible(
    Fact,
    ApplicationState,
    type="pe.conecta.aid_calls.application-ruled-ineligible.v1",
    about="application_id",
    within="call_id",
):
    """An application fails the rules of eligibility named in `reasons`, all of them."""

    reasons: Annotated[tuple[str, ...], Field(description="stable codes, such as `resides-in-host-region`")]


Fund = Literal["reserved", "general"]


class AidAwarded(
    Fact,
    ApplicationState,
    type="pe.conecta.aid_calls.aid-awarded.v1",
    about="application_id",
    within="call_id",
):
    """An aid was granted: in the first pass from the reserved share, or in the second from the whole fund."""

    amount: Money
    currency: Literal["PEN"]
    money: Annotated[Fund, Field(description="`reserved`: first pass; `general`: second pass")]
    rank: Rank
    total: Total


class AidReserved(
    Fact,
    ApplicationState,
    type="pe.conecta.aid_calls.aid-reserved.v1",
    about="application_id",
    within="call_id",
):
    """An application qualifies but the fund ran out: its place on the reserve list, from 1."""

    position: Annotated[int, Field(description="on the reserve list, from 1")]
    rank: Rank
    total: Total


class ApplicationNotSelected(
    Fact,
    ApplicationState,
    type="pe.conecta.aid_calls.application-not-selected.v1",
    about="application_id",
    within="call_id",
):
    """An application's total is below the minimum of the call."""

    rank: Rank
    total: Total


class CallResultsPublished(Fact, type="pe.conecta.aid_calls.call-results-published.v1", about="call_id"):
    """The fund of a call has been allocated: how many awards, how much, what is left."""

    call_id: UUID
    code: Code
    currency: Literal["PEN"]
    awards: int
    reserve: int
    not_selected: int
    total_awarded: Money
    left: Annotated[Money, Field(description="of the fund, not awarded")]


class CallAnswer(Answer, CallState):
    """A call as everybody may see it."""

    state: Literal["draft", "open", "closed", "results-published"]


class Call(Question, type="pe.conecta.aid_calls.call.v1", answer=CallAnswer):
    """Which call has this code? Error `no-such-call`."""

    code: Code


class ApplicationAnswer(Answer, ApplicationState):
    """An application as its applicant and the team may see it."""

    state: Literal[
        "submitted",
        "withdrawn",
        "eligible",
        "ineligible",
        "awarded",
        "reserve",
        "not-selected",
    ]
    project: str
    reasons: tuple[str, ...] = ()


class Application(
    Question,
    type="pe.conecta.aid_calls.application.v1",
    answer=ApplicationAnswer,
    may={Role.PARTICIPANT, Role.ORGANISER, Role.OPERATOR},
):
    """How does an application stand? Its applicant and the team may ask. Error `no-such-application`."""

    application_id: UUID


class Award(BaseModel):
    """One award of a call's results."""

    model_config = ConfigDict(frozen=True)

    application_id: UUID
    rank: Rank
    amount: Money
    money: Fund


class CallResultsAnswer(Answer):
    """Everything decided so far about a call's applications: `ineligible` maps application ids to reasons.

    `awarded` and `not_selected` are in order of merit, `reserve` in its own order. `unranked` are eligible, but were
    ruled on after the order of merit was made: the team has to look at them.
    """

    state: Literal["draft", "open", "closed", "results-published"]
    applications: int
    withdrawn: int
    undecided: int
    eligible: int
    ineligible: dict[UUID, tuple[str, ...]]
    awarded: tuple[Award, ...]
    reserve: tuple[UUID, ...]
    not_selected: tuple[UUID, ...]
    unranked: tuple[UUID, ...] = ()
    total_awarded: Money
    left: Money


class CallResults(Question, type="pe.conecta.aid_calls.call-results.v1", answer=CallResultsAnswer, may=TEAM):
    """What became of the applications to a call? Error `no-such-call`."""

    call_id: UUID


class CommandOutcome(Question, type="pe.conecta.aid_calls.command-outcome.v1", answer=CommandOutcomeAnswer):
    """What became of a command sent to aid_calls? Whoever knows its id may ask."""

    command_id: UUID


class ServiceStatus(Question, type="pe.conecta.aid_calls.service-status.v1", answer=ServiceStatusAnswer, may=TEAM):
    """How far behind is aid_calls?"""
