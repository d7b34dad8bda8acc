"""Totals, divergence, results and the order of merit (domain.md, "Evaluation"). Pure, exact decimals.

Anyone can recompute a ranking from published data with these rules. Where more than two reviews are required, the
rule for two is read as: the totals diverge when the highest and the lowest are too far apart.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, Protocol
from uuid import UUID

from shared.contracts.aid_calls import CallRules
from shared.contracts.evaluation import RankedApplication
from shared.contracts.people import half_up


class Scored(Protocol):
    """A review, as far as scoring is concerned."""

    @property
    def scores(self) -> Mapping[str, Decimal]:
        """By criterion."""

    @property
    def total(self) -> Decimal:
        """As `review_total` made it."""


class Ranked(Protocol):
    """An application, as far as its place is concerned."""

    @property
    def application_id(self) -> UUID:
        """Its id: the last tie-break."""

    @property
    def accepted_at(self) -> datetime:
        """When the bus stored it: the tie-break before."""

    @property
    def reviews(self) -> Sequence[Scored]:
        """All its reviews, in the order they came."""


class _Result(NamedTuple):
    application: Ranked
    total: Decimal
    means: tuple[Decimal, ...]

    def order(self) -> tuple[object, ...]:
        descending = (-self.total, *(-mean for mean in self.means))
        return (*descending, self.application.accepted_at, self.application.application_id)


def review_total(scores: Mapping[str, Decimal], *, rules: CallRules) -> Decimal:
    """The total of one review, 0 to 100: the sum of weight × score ÷ score_max, rounded half up to 2 decimals."""
    weighted = sum((criterion.weight * scores[criterion.key] for criterion in rules.criteria), Decimal(0))
    return half_up(weighted / rules.score_max)


def diverge(totals: Sequence[Decimal], *, rules: CallRules) -> bool:
    """Whether the required reviews are further apart than the call allows."""
    required = totals[: rules.reviews_required]
    return len(required) == rules.reviews_required > 1 and max(required) - min(required) > rules.divergence_over


def reviews_needed(totals: Sequence[Decimal], *, rules: CallRules) -> int:
    """How many reviews an application needs: the required ones, one more once they diverge."""
    return rules.reviews_required + diverge(totals, rules=rules)


def reviews_missing(totals: Sequence[Decimal], *, rules: CallRules) -> int:
    """How many reviews are still to come."""
    return max(0, reviews_needed(totals, rules=rules) - len(totals))


def result(totals: Sequence[Decimal], *, rules: CallRules) -> Decimal:
    """The result of an application: the mean of its reviews, the median where one more than required was needed.

    Of an even number (three required and a fourth) the median is the mean of the two in the middle.
    """
    if diverge(totals, rules=rules):
        return half_up(statistics.median(totals))
    return _mean(totals)


def ranking(applications: Iterable[Ranked], *, rules: CallRules) -> list[RankedApplication]:
    """The order of merit: total, then criterion means in the criteria's order, then acceptance, then id."""
    results = sorted((_result(application, rules) for application in applications), key=_Result.order)
    return [
        RankedApplication(
            application_id=one.application.application_id,
            rank=rank,
            total=one.total,
            criterion_means=one.means,
            reviews=len(one.application.reviews),
        )
        for rank, one in enumerate(results, start=1)
    ]


def _result(application: Ranked, rules: CallRules) -> _Result:
    means = tuple(
        _mean([review.scores[criterion.key] for review in application.reviews]) for criterion in rules.criteria
    )
    return _Result(application, result([review.total for review in application.reviews], rules=rules), means)


def _mean(values: Sequence[Decimal]) -> Decimal:
    return half_up(sum(values, Decimal(0)) / len(values))
