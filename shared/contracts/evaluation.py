"""The published language of evaluation: assignments, reviews, the ranking, the measure report."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.aid_calls import Key, Rank, Score, Total
from shared.contracts.base import Answer, Command, Fact, Question
from shared.contracts.people import STORABLE, Dollars, Money, Role, Title, plain
from shared.contracts.status import CommandOutcomeAnswer, ServiceStatusAnswer

TEAM = {Role.ORGANISER, Role.OPERATOR}

Rate = Annotated[
    Decimal,
    Field(gt=0, max_digits=10, decimal_places=6, allow_inf_nan=False, description="PEN for one USD"),
    plain(6),
]


class AssignEvaluator(Command, type="pe.conecta.evaluation.assign-evaluator.v1", may={Role.ORGANISER}):
    """The team gives applications of one call to one evaluator to review; assigning again changes nothing.

    Refused as a whole, naming each application: `no-such-application` (unknown, or not eligible),
    `conflict-of-interest`, `enough-reviewers` (the required number is assigned and their totals do not diverge).
    """

    call_id: UUID
    evaluator_id: UUID
    application_ids: Annotated[tuple[UUID, ...], Field(min_length=1, max_length=1000)]


class DeclareConflict(Command, type="pe.conecta.evaluation.declare-conflict.v1", may={Role.EVALUATOR}):
    """An evaluator declares a conflict of interest with an application, which ends the assignment."""

    application_id: UUID


class SubmitReview(Command, type="pe.conecta.evaluation.submit-review.v1", may={Role.EVALUATOR}):
    """An evaluator scores an application assigned to them: one score per criterion, and the reasons."""

    application_id: UUID
    scores: Annotated[dict[Key, Score], Field(min_length=1, max_length=20)]
    comment: Annotated[str, Field(max_length=5000), STORABLE] = ""


class FinaliseRanking(Command, type="pe.conecta.evaluation.finalise-ranking.v1", may={Role.ORGANISER}):
    """The panel's work on a call is done: the order of merit is made, once.

    Refused while the call is open (`call-not-closed`), while there are applications that nobody has ruled on, as far
    as evaluation has heard (`eligibility-undecided`), or reviews are missing (`review-missing` per application).
    """

    call_id: UUID


class RecordExchangeRate(
    Command,
    type="pe.conecta.evaluation.record-exchange-rate.v1",
    may={Role.ORGANISER, Role.ACCOUNTANT},
):
    """How many PEN one USD cost on a day, by whom it is published. A day's rate is recorded once per source.

    The same again changes nothing, another one is refused (`rate-already-recorded`), so is a slip (`implausible-rate`).
    """

    pen_per_usd: Rate
    date: date
    source: Title


class EvaluatorAssigned(
    Fact,
    type="pe.conecta.evaluation.evaluator-assigned.v1",
    about="evaluator_id",
    within="call_id",
):
    """An evaluator was given applications of a call: `added` now, `assigned` in all. Version per call and person."""

    evaluator_id: UUID
    call_id: UUID
    added: Annotated[tuple[UUID, ...], Field(description="ids of applications")]
    assigned: Annotated[int, Field(description="how many in all, of this call")]


class ConflictDeclared(
    Fact,
    type="pe.conecta.evaluation.conflict-declared.v1",
    about="application_id",
    within="call_id",
):
    """An evaluator may not review an application; somebody else is needed."""

    application_id: UUID
    call_id: UUID
    evaluator_id: UUID


class ReviewSubmitted(
    Fact,
    type="pe.conecta.evaluation.review-submitted.v1",
    about="application_id",
    within="call_id",
):
    """A review is in. Scores stay hidden until the ranking; `third_needed` when the two totals diverge."""

    application_id: UUID
    call_id: UUID
    evaluator_id: UUID
    reviews: Annotated[int, Field(description="how many are in")]
    third_needed: bool


class RankedApplication(BaseModel):
    """One line of the order of merit. `criterion_means` in the order of the call's criteria."""

    model_config = ConfigDict(frozen=True)

    application_id: UUID
    rank: Rank
    total: Total
    criterion_means: tuple[Decimal, ...]
    reviews: int


class RankingFinalised(Fact, type="pe.conecta.evaluation.ranking-finalised.v1", about="call_id"):
    """The order of merit of a call, whole."""

    call_id: UUID
    ranking: Annotated[tuple[RankedApplication, ...], Field(description="best first")]


class ApplicationProgress(BaseModel):
    """How far the reviewing of one application is; `third_needed` until that review is in."""

    model_config = ConfigDict(frozen=True)

    application_id: UUID
    assigned: int
    reviews: int
    third_needed: bool
    complete: bool


class PanelProgressAnswer(Answer):
    """How far a panel is with a call. `complete` when nothing stands in the way of its ranking.

    `undecided` are applications that nobody has ruled on, as far as evaluation has heard.
    """

    applications: tuple[ApplicationProgress, ...]
    complete: bool
    undecided: int = 0


class PanelProgress(Question, type="pe.conecta.evaluation.panel-progress.v1", answer=PanelProgressAnswer, may=TEAM):
    """Which eligible applications of a call have how many reviews, and which need a third? Error `no-such-call`."""

    call_id: UUID


class RankingAnswer(Answer):
    """The order of merit, empty until it is finalised; `third_reviews` are the applications that had one."""

    finalised: bool
    ranking: tuple[RankedApplication, ...]
    third_reviews: tuple[UUID, ...]


class Ranking(Question, type="pe.conecta.evaluation.ranking.v1", answer=RankingAnswer, may=TEAM):
    """What is the order of merit of a call? Error `no-such-call`."""

    call_id: UUID


class Converted(BaseModel):
    """An amount in USD, with the rate that made it."""

    model_config = ConfigDict(frozen=True)

    amount: Dollars
    pen_per_usd: Rate
    date: date
    source: Title


class MeasureReportAnswer(Answer):
    """The figures of the measure report (UNESCO policy/measure entry). `usd` is None while no rate is recorded.

    `places` are the cities of the meetings, `capacity` their places in all; `regions` and `sectors` count people.
    """

    meetings: int
    places: tuple[str, ...]
    capacity: int
    registrations: int
    people: int
    regions: dict[str, int]
    sectors: dict[str, int]
    calls: int
    applications: int
    eligible: int
    awards: int
    pen: Money
    usd: Converted | None


class MeasureReport(
    Question,
    type="pe.conecta.evaluation.measure-report.v1",
    answer=MeasureReportAnswer,
    may={Role.ORGANISER, Role.OPERATOR, Role.ACCOUNTANT},
):
    """What are the figures of the measure, as far as evaluation has heard?"""


class CommandOutcome(Question, type="pe.conecta.evaluation.command-outcome.v1", answer=CommandOutcomeAnswer):
    """What became of a command sent to evaluation? Whoever knows its id may ask."""

    command_id: UUID


class ServiceStatus(Question, type="pe.conecta.evaluation.service-status.v1", answer=ServiceStatusAnswer, may=TEAM):
    """How far behind is evaluation?"""
