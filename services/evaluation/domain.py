"""A panel's work on a call: what is known, who may do what when, what is missing. Pure.

How totals are made, compared and ranked is scoring's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from services.evaluation import scoring
from shared.contracts.aid_calls import CallRules
from shared.contracts.evaluation import SubmitReview
from shared.contracts.wire import MOST_PROBLEMS, Problem

# One USD in PEN since there is a PEN (1991) was 0.8 to 4.2; beyond these it is a slip, 0.27 the rate upside down.
_LOWEST_RATE, _HIGHEST_RATE = Decimal("0.5"), Decimal(50)

AssignmentState = Literal["assigned", "reviewed", "conflict"]
ApplicationPhase = Literal["submitted", "withdrawn", "eligible", "ineligible", "awarded"]


@dataclass(frozen=True, slots=True)
class Call:
    """A call as evaluation has heard of it; `ranked` once its order of merit is made."""

    call_id: UUID
    state: Literal["open", "closed"]
    rules: CallRules
    ranked: bool = False


@dataclass(frozen=True, slots=True)
class Review:
    """What one evaluator thinks of one application; `version` is the application's in the panel once it is in."""

    application_id: UUID
    evaluator_id: UUID
    version: int
    scores: Mapping[str, Decimal]
    comment: str
    total: Decimal
    submitted_at: datetime


@dataclass(frozen=True, slots=True)
class UnderReview:
    """An application, to whom it was given, and their reviews in the order they came.

    `version` counts what has happened to it in the panel; the application's own is aid_calls'.
    """

    application_id: UUID
    call: Call
    person_id: UUID
    state: ApplicationPhase
    accepted_at: datetime
    version: int = 0
    evaluators: Mapping[UUID, AssignmentState] = field(default_factory=dict)
    reviews: tuple[Review, ...] = ()

    @property
    def eligible(self) -> bool:
        """Whether it is before the panel; it stays so when an aid has been awarded to it."""
        return self.state in ("eligible", "awarded")

    @property
    def assigned(self) -> int:
        """How many evaluators have it, or have reviewed it."""
        return sum(state != "conflict" for state in self.evaluators.values())

    @property
    def totals(self) -> tuple[Decimal, ...]:
        """Of its reviews."""
        return tuple(review.total for review in self.reviews)

    @property
    def missing(self) -> int:
        """How many reviews are still to come."""
        return scoring.reviews_missing(self.totals, rules=self.call.rules)

    @property
    def third_needed(self) -> bool:
        """Whether one more review than required is still to come."""
        return third_needed(self.totals, rules=self.call.rules)

    @property
    def had_a_third(self) -> bool:
        """Whether it needed one more review than required, and has it."""
        return len(self.reviews) > self.call.rules.reviews_required

    def reviewed(self, review: Review) -> UnderReview:
        """The application once this review is in."""
        return replace(
            self,
            version=review.version,
            evaluators={**self.evaluators, review.evaluator_id: "reviewed"},
            reviews=(*self.reviews, review),
        )


def third_needed(totals: Sequence[Decimal], *, rules: CallRules) -> bool:
    """Whether the required reviews are in, diverge, and the one that decides is not."""
    return len(totals) == rules.reviews_required and scoring.diverge(totals, rules=rules)


def assignment_problem(application: UnderReview | None, *, evaluator_id: UUID) -> str | None:
    """Why an application cannot be given to an evaluator; None also if they have it already."""
    if application is None:
        return "no-such-application"
    state = application.evaluators.get(evaluator_id)
    if state == "conflict" or application.person_id == evaluator_id:
        return "conflict-of-interest"
    if state is not None:
        return None
    if not application.eligible:
        return "no-such-application"
    needed = scoring.reviews_needed(application.totals, rules=application.call.rules)
    return "enough-reviewers" if application.assigned >= needed else None


def conflict_problem(application: UnderReview | None, *, evaluator_id: UUID) -> str | None:
    """Why an evaluator cannot declare a conflict of interest; None also if they have declared it already."""
    state = application.evaluators.get(evaluator_id) if application else None
    if application is None or state is None:
        return "not-assigned"
    if state == "reviewed":
        return "already-reviewed"
    return "ranking-finalised" if application.call.ranked and state == "assigned" else None


def repeats(application: UnderReview | None, command: SubmitReview, *, evaluator_id: UUID) -> bool:
    """Whether the evaluator has given this very review before."""
    return application is not None and any(
        review.evaluator_id == evaluator_id and (review.scores, review.comment) == (command.scores, command.comment)
        for review in application.reviews
    )


def review_problems(
    application: UnderReview | None, command: SubmitReview, *, evaluator_id: UUID
) -> tuple[Problem, ...]:
    """Why a review that is no repetition cannot be taken, all reasons at once."""
    state = application.evaluators.get(evaluator_id, "conflict") if application else "conflict"
    if application is None or state == "conflict":
        return (Problem(code="not-assigned", field="application_id"),)
    if state == "reviewed":
        return (Problem(code="already-reviewed", field="application_id"),)
    problems = score_problems(command.scores, rules=application.call.rules)
    if application.call.ranked:
        problems = (Problem(code="ranking-finalised", field="application_id"), *problems)
    if not application.eligible:
        problems = (Problem(code="application-withdrawn", field="application_id"), *problems)
    return problems


def review(command: SubmitReview, application: UnderReview, *, evaluator_id: UUID, submitted_at: datetime) -> Review:
    """The review that a command is, once it has no problems."""
    return Review(
        application_id=application.application_id,
        evaluator_id=evaluator_id,
        version=application.version + 1,
        scores=command.scores,
        comment=command.comment,
        total=scoring.review_total(command.scores, rules=application.call.rules),
        submitted_at=submitted_at,
    )


def score_problems(scores: Mapping[str, Decimal], *, rules: CallRules) -> tuple[Problem, ...]:
    """Criteria of the call without a score, scores without a criterion, scores out of the call's range."""
    keys = [criterion.key for criterion in rules.criteria]
    bounds: dict[str, str | int] = {"min": str(rules.score_min), "max": str(rules.score_max)}
    return (
        *(Problem(code="missing-score", field=f"scores.{key}") for key in keys if key not in scores),
        *(Problem(code="unknown-criterion", field=f"scores.{key}") for key in scores if key not in keys),
        *(
            Problem(code="score-out-of-range", field=f"scores.{key}", detail=bounds)
            for key in keys
            if key in scores and not rules.score_min <= scores[key] <= rules.score_max
        ),
    )


def ranking_problems(call: Call, *, undecided: int, eligible: Sequence[UnderReview]) -> tuple[Problem, ...]:
    """Why a call cannot be ranked: all reasons, but no more applications than fit into an answer."""
    problems = []
    if call.state != "closed":
        problems.append(Problem(code="call-not-closed", field="call_id"))
    if undecided:
        problems.append(Problem(code="eligibility-undecided", field="call_id", detail={"applications": undecided}))
    lacking = [application for application in eligible if application.missing]
    problems += [
        Problem(
            code="review-missing",
            detail={"application_id": str(application.application_id), "missing": application.missing},
        )
        for application in lacking[:MOST_PROBLEMS]
    ]
    if len(lacking) > MOST_PROBLEMS:
        problems.append(Problem(code="more-problems", detail={"number": len(lacking) - MOST_PROBLEMS}))
    return tuple(problems)


def rate_problem(pen_per_usd: Decimal) -> Problem | None:
    """Why this cannot be what one USD cost."""
    if _LOWEST_RATE <= pen_per_usd <= _HIGHEST_RATE:
        return None
    return Problem(
        code="implausible-rate",
        field="pen_per_usd",
        detail={"min": str(_LOWEST_RATE), "max": str(_HIGHEST_RATE)},
    )
