"""Totals, divergence, results, order of merit: examples at the edges, properties against fractions."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.evaluation import scoring
from shared.contracts.aid_calls import CallRules

T0 = datetime(2026, 11, 24, tzinfo=UTC)


class Scored(NamedTuple):
    """A review."""

    scores: Mapping[str, Decimal]
    total: Decimal


class Application(NamedTuple):
    """An application with its reviews."""

    application_id: UUID
    accepted_at: datetime
    reviews: Sequence[Scored]


def rules(weights: Mapping[str, int] | None = None, **changes: Any) -> CallRules:
    """The rules of a call, as far as scoring looks at them."""
    stated: dict[str, Any] = {
        "code": "MOV",
        "title": "Ayudas",
        "host_region": "08",
        "host_city": "Cusco",
        "opens_at": T0,
        "closes_at": T0,
        "fund": 0,
        "days": 1,
        "per_diem": 0,
        "ceiling": 0,
        "fares": {},
        "criteria": [{"key": key, "name": key, "weight": weight} for key, weight in (weights or {"a": 100}).items()],
        "score_min": 0,
        "score_max": 10,
        "divergence_over": 20,
        "minimum_total": 60,
    }
    return CallRules.model_validate({**stated, **changes})


def decimals(*numbers: str) -> list[Decimal]:
    return [Decimal(number) for number in numbers]


def application(number: int, *totals: str, came: int = 0, **by_criterion: str) -> Application:
    """An application whose reviews all have these scores and, in turn, these totals."""
    scores = {key: Decimal(score) for key, score in (by_criterion or {"a": "5"}).items()}
    return Application(
        UUID(int=number), T0 + timedelta(microseconds=came), [Scored(scores, Decimal(t)) for t in totals]
    )


@pytest.mark.parametrize(
    ("scores", "score_max", "total"),
    [
        ({"a": "10", "b": "10", "c": "10"}, "10", "100.00"),
        ({"a": "0", "b": "0", "c": "0"}, "10", "0.00"),
        ({"a": "9", "b": "7.5", "c": "8"}, "10", "82.45"),
        ({"a": "1", "b": "1", "c": "1"}, "3", "33.33"),
        ({"a": "2", "b": "2", "c": "2"}, "3", "66.67"),
        ({"a": "4.5", "b": "5", "c": "1"}, "5", "79.70"),
        ({"a": "0.01", "b": "0", "c": "0"}, "20", "0.02"),  # 0.0215
        ({"a": "0", "b": "0.03", "c": "0"}, "20", "0.06"),  # 0.0555
        ({"a": "0", "b": "0.01", "c": "0"}, "4", "0.09"),  # 0.0925
        ({"a": "0", "b": "0", "c": "0.01"}, "8", "0.03"),  # 0.025: half goes up
    ],
)
def test_a_total_is_weighted_by_the_call_and_rounded_half_up(
    scores: dict[str, str], score_max: str, total: str
) -> None:
    three = rules({"a": 43, "b": 37, "c": 20}, score_max=score_max)
    assert str(scoring.review_total({k: Decimal(v) for k, v in scores.items()}, rules=three)) == total


@pytest.mark.parametrize(
    ("totals", "required", "diverges"),
    [
        (["80.00", "60.00"], 2, False),  # not more than
        (["80.00", "59.99"], 2, True),
        (["59.99", "80.00"], 2, True),
        (["80.00"], 2, False),
        ([], 2, False),
        (["80.00", "59.99", "70.00"], 2, True),  # the third does not undo it
        (["80.00", "70.00", "10.00"], 2, False),  # nor make it
        (["80.00", "70.00", "59.99"], 3, True),
        (["80.00", "70.00", "60.00"], 3, False),
        (["80.00", "59.99"], 3, False),  # not yet
        (["80.00", "10.00"], 1, False),  # nobody to differ from
    ],
)
def test_totals_diverge_when_the_required_ones_are_further_apart_than_allowed(
    totals: list[str], required: int, *, diverges: bool
) -> None:
    assert scoring.diverge(decimals(*totals), rules=rules(reviews_required=required)) == diverges


@pytest.mark.parametrize(
    ("totals", "required", "missing"),
    [
        ([], 2, 2),
        (["80.00"], 2, 1),
        (["80.00", "70.00"], 2, 0),
        (["80.00", "50.00"], 2, 1),
        (["80.00", "50.00", "10.00"], 2, 0),
        (["80.00", "50.00"], 3, 1),
        (["80.00", "50.00", "60.00"], 3, 1),
        (["80.00"], 1, 0),
    ],
)
def test_reviews_are_missing_until_the_required_ones_agree_or_one_more_is_in(
    totals: list[str], required: int, missing: int
) -> None:
    assert scoring.reviews_missing(decimals(*totals), rules=rules(reviews_required=required)) == missing


@pytest.mark.parametrize(
    ("totals", "required", "result"),
    [
        (["80.00", "60.00"], 2, "70.00"),
        (["80.01", "80.00"], 2, "80.01"),  # 80.005 goes up
        (["80.00", "50.00", "55.55"], 2, "55.55"),
        (["80.00", "50.00", "90.00"], 2, "80.00"),
        (["80.00", "50.00", "50.00"], 2, "50.00"),
        (["10.00", "10.00", "10.01"], 3, "10.00"),
        (["90.00", "50.00", "70.00", "70.01"], 3, "70.01"),  # between the two in the middle: 70.005
        (["33.33"], 1, "33.33"),
    ],
)
def test_a_result_is_the_mean_or_where_one_more_was_needed_the_median(
    totals: list[str], required: int, result: str
) -> None:
    assert str(scoring.result(decimals(*totals), rules=rules(reviews_required=required))) == result


def test_ties_are_broken_by_criteria_in_their_order_then_by_time_then_by_id() -> None:
    two = rules({"b": 50, "a": 50})
    ranked = [
        application(9, "70", "70", b="1", a="9", came=9),
        application(8, "70", "69.98", b="10", a="10"),
        application(7, "69", "70", b="7", a="7.5", came=9),
        application(6, "69", "70", b="7", a="7.25", came=3),
        application(5, "69", "70", b="7", a="7.25", came=4),
        application(3, "69", "70", b="7", a="7", came=5),
        application(4, "69", "70", b="7", a="7", came=5),
        application(1, "69", "70", b="6.99", a="10", came=0),
    ]
    order = scoring.ranking(reversed(ranked), rules=two)
    assert [place.application_id.int for place in order] == [9, 8, 7, 6, 5, 3, 4, 1]
    assert [place.rank for place in order] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_criterion_means_are_over_all_reviews_in_the_order_of_the_criteria() -> None:
    reviews = [
        Scored({"a": Decimal(a), "b": Decimal(b)}, Decimal(t))
        for a, b, t in (("1", "9", 90), ("2", "8", 50), ("2", "8", 51))
    ]
    (place,) = scoring.ranking([Application(UUID(int=1), T0, reviews)], rules=rules({"b": 60, "a": 40}))
    assert [str(mean) for mean in place.criterion_means] == ["8.33", "1.67"]
    assert (str(place.total), place.reviews) == ("51.00", 3)


def test_nobody_makes_an_empty_order() -> None:
    assert scoring.ranking([], rules=rules()) == []


def rounded(value: Fraction) -> Fraction:
    return Fraction(floor(value * 100 + Fraction(1, 2)), 100)


@st.composite
def calls(draw: st.DrawFn) -> CallRules:
    """Calls of one to five criteria, with any range of scores and any number of reviews."""
    cuts = sorted(draw(st.sets(st.integers(1, 99), max_size=4)))
    weights = [high - low for low, high in zip([0, *cuts], [*cuts, 100], strict=True)]
    lowest = draw(st.integers(0, 500))
    return rules(
        {f"k{number}": weight for number, weight in enumerate(weights)},
        score_min=Decimal(lowest) / 100,
        score_max=Decimal(lowest + draw(st.integers(1, 9999))) / 100,
        reviews_required=draw(st.integers(1, 4)),
        divergence_over=Decimal(draw(st.integers(0, 5000))) / 100,
    )


@st.composite
def panels(draw: st.DrawFn) -> tuple[CallRules, list[Application]]:
    """A call and applications with as many reviews as they need; scores repeat, so that there are ties."""
    call = draw(calls())
    steps = st.integers(int(call.score_min * 100), int(call.score_max * 100))
    scores = draw(st.lists(steps, min_size=1, max_size=3))
    some = st.fixed_dictionaries({one.key: st.sampled_from(scores) for one in call.criteria})
    applications = []
    for number in draw(st.permutations(range(draw(st.integers(0, 6))))):
        reviews: list[Scored] = []
        while scoring.reviews_missing([review.total for review in reviews], rules=call):
            given_scores = {key: Decimal(score) / 100 for key, score in draw(some).items()}
            reviews.append(Scored(given_scores, scoring.review_total(given_scores, rules=call)))
        came = T0 + timedelta(microseconds=draw(st.integers(0, 2)))
        applications.append(Application(UUID(int=number), came, reviews))
    return call, applications


@given(panel=panels())
def test_totals_are_what_fractions_give_and_stay_within_a_hundred(panel: tuple[CallRules, list[Application]]) -> None:
    call, applications = panel
    for review in (review for one in applications for review in one.reviews):
        weighted = [
            Fraction(c.weight) * Fraction(review.scores[c.key]) / Fraction(call.score_max) for c in call.criteria
        ]
        assert Fraction(review.total) == rounded(sum(weighted, Fraction(0)))
        assert 0 <= review.total <= 100
        assert review.total.as_tuple().exponent == -2


@given(panel=panels())
def test_results_lie_between_the_totals_and_nothing_is_missing(panel: tuple[CallRules, list[Application]]) -> None:
    call, applications = panel
    for place in scoring.ranking(applications, rules=call):
        (one,) = [one for one in applications if one.application_id == place.application_id]
        totals = [review.total for review in one.reviews]
        assert min(totals) <= place.total <= max(totals)
        assert len(totals) == call.reviews_required + scoring.diverge(totals, rules=call)


@given(panel=panels())
def test_each_place_is_one_more_than_those_that_stand_before_it(panel: tuple[CallRules, list[Application]]) -> None:
    call, applications = panel
    merits = {one.application_id: _merit(one, call) for one in applications}
    for place in scoring.ranking(applications, rules=call):
        mine = merits[place.application_id]
        assert place.rank == 1 + sum(
            _before(other, mine) for key, other in merits.items() if key != place.application_id
        )


def _merit(one: Application, call: CallRules) -> tuple[list[Fraction], datetime, UUID]:
    totals = sorted(Fraction(review.total) for review in one.reviews)
    middle = totals[(len(totals) - 1) // 2], totals[len(totals) // 2]
    apart = len(totals) > call.reviews_required
    result = sum(middle, Fraction(0)) / 2 if apart else sum(totals, Fraction(0)) / len(totals)
    means = [
        sum((Fraction(review.scores[c.key]) for review in one.reviews), Fraction(0)) / len(one.reviews)
        for c in call.criteria
    ]
    return [rounded(result), *map(rounded, means)], one.accepted_at, one.application_id


def _before(one: tuple[list[Fraction], datetime, UUID], other: tuple[list[Fraction], datetime, UUID]) -> bool:
    if one[0] != other[0]:
        return one[0] > other[0]
    return one[1:] < other[1:]


@given(panel=panels(), chance=st.randoms())
def test_the_order_does_not_depend_on_the_order_of_the_input(
    panel: tuple[CallRules, list[Application]], chance: random.Random
) -> None:
    call, applications = panel
    shuffled = list(applications)
    chance.shuffle(shuffled)
    assert scoring.ranking(shuffled, rules=call) == scoring.ranking(applications, rules=call)
