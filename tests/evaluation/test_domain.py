"""Who may do what with an application when, and what is wrong with scores: the rules alone."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uuid_utils.compat import uuid7

from services.evaluation import domain
from services.evaluation.domain import AssignmentState, Call, Review, UnderReview
from shared.contracts.aid_calls import CallRules
from tests.evaluation.cast import NOW, a_review, the_rules

WHO = uuid7()


def rules(**changes: Any) -> CallRules:
    """The rules of a call."""
    return CallRules.model_validate(the_rules(**changes))


def an_application(*, state: domain.ApplicationPhase = "eligible", ranked: bool = False, **more: Any) -> UnderReview:
    """An application to a closed call."""
    call = Call(uuid7(), "closed", rules(), ranked=ranked)
    changes = {"application_id": uuid7(), "person_id": uuid7(), "accepted_at": NOW, **more}
    return UnderReview(call=call, state=state, **changes)


def a_kept_review(application: UnderReview, evaluator_id: Any) -> Review:
    """A review with full marks."""
    scores = {criterion.key: Decimal(10) for criterion in application.call.rules.criteria}
    return Review(
        application.application_id, evaluator_id, application.version + 1, scores, "Sustento.", Decimal(100), NOW
    )


@pytest.mark.parametrize(
    ("mine", "others", "state", "expected"),
    [
        (None, 0, "eligible", None),
        (None, 1, "eligible", None),
        (None, 2, "eligible", "enough-reviewers"),
        (None, 0, "awarded", None),
        (None, 0, "submitted", "no-such-application"),
        (None, 2, "withdrawn", "no-such-application"),
        ("assigned", 1, "eligible", None),
        ("assigned", 1, "withdrawn", None),
        ("reviewed", 1, "eligible", None),
        ("conflict", 0, "eligible", "conflict-of-interest"),
        ("conflict", 2, "withdrawn", "conflict-of-interest"),
    ],
)
def test_who_can_be_given_an_application(
    mine: AssignmentState | None, others: int, state: domain.ApplicationPhase, expected: str | None
) -> None:
    evaluators: dict[Any, AssignmentState] = {uuid7(): "assigned" for _ in range(others)}
    evaluators |= {uuid7(): "conflict"}
    evaluators |= {WHO: mine} if mine else {}
    application = an_application(state=state, evaluators=evaluators)
    assert domain.assignment_problem(application, evaluator_id=WHO) == expected


def test_nobody_judges_their_own_application() -> None:
    application = an_application(person_id=WHO)
    assert domain.assignment_problem(application, evaluator_id=WHO) == "conflict-of-interest"


@pytest.mark.parametrize(
    ("mine", "ranked", "expected"),
    [
        (None, False, "not-assigned"),
        ("assigned", False, None),
        ("assigned", True, "ranking-finalised"),
        ("reviewed", False, "already-reviewed"),
        ("reviewed", True, "already-reviewed"),
        ("conflict", False, None),
        ("conflict", True, None),
    ],
)
def test_who_can_declare_a_conflict(mine: AssignmentState | None, *, ranked: bool, expected: str | None) -> None:
    application = an_application(ranked=ranked, evaluators={WHO: mine} if mine else {})
    assert domain.conflict_problem(application, evaluator_id=WHO) == expected


def test_a_review_moves_its_application_on_and_leaves_what_was_before_alone() -> None:
    before = an_application(evaluators={WHO: "assigned"}, version=4)
    after = before.reviewed(a_kept_review(before, WHO))
    assert (after.version, after.evaluators, after.totals) == (5, {WHO: "reviewed"}, (Decimal(100),))
    assert (before.version, before.evaluators, before.totals) == (4, {WHO: "assigned"}, ())


def test_only_the_same_scores_and_reasons_of_the_same_evaluator_are_a_repetition() -> None:
    before = an_application(evaluators={WHO: "assigned"})
    after = before.reviewed(a_kept_review(before, WHO))
    marks = {"relevance": "10.00", "networks": "10"}
    same = a_review(after.application_id, marks)
    assert domain.repeats(after, same, evaluator_id=WHO) is True
    assert domain.repeats(before, same, evaluator_id=WHO) is False
    assert domain.repeats(None, same, evaluator_id=WHO) is False
    assert domain.repeats(after, same, evaluator_id=uuid7()) is False
    other_reasons = a_review(after.application_id, marks, "Otro.")
    assert domain.repeats(after, other_reasons, evaluator_id=WHO) is False
    other_scores = a_review(after.application_id, {**marks, "networks": "9"})
    assert domain.repeats(after, other_scores, evaluator_id=WHO) is False


@given(
    given_scores=st.dictionaries(
        st.sampled_from(["relevance", "networks", "style", "wit"]),
        st.decimals(min_value=-3, max_value=14, places=2),
        min_size=1,
    ),
    lowest=st.integers(-2, 3),
)
def test_scores_are_in_order_exactly_if_each_criterion_has_one_in_range_and_nothing_else(
    given_scores: dict[str, Decimal], lowest: int
) -> None:
    problems = domain.score_problems(given_scores, rules=rules(score_min=str(lowest)))
    keys = {"relevance", "networks"}
    expected = {("missing-score", f"scores.{key}") for key in keys - set(given_scores)}
    expected |= {("unknown-criterion", f"scores.{key}") for key in set(given_scores) - keys}
    expected |= {
        ("score-out-of-range", f"scores.{key}")
        for key in keys & set(given_scores)
        if given_scores[key] < lowest or given_scores[key] > 10
    }
    assert {(problem.code, problem.field) for problem in problems} == expected
    assert len(problems) == len(expected)


def in_panel(*totals: int) -> UnderReview:
    """An application with reviews of these totals."""
    application = an_application()
    for total in totals:
        application = application.reviewed(replace(a_kept_review(application, uuid7()), total=Decimal(total)))
    return application


@pytest.mark.parametrize(
    ("totals", "missing", "third_needed", "had_a_third"),
    [
        ((), 2, False, False),
        ((90,), 1, False, False),
        ((90, 70), 0, False, False),
        ((90, 69), 1, True, False),
        ((90, 69, 80), 0, False, True),
    ],
)
def test_reviews_are_missing_until_the_required_ones_agree_or_one_more_decides(
    totals: tuple[int, ...], missing: int, *, third_needed: bool, had_a_third: bool
) -> None:
    application = in_panel(*totals)
    assert (application.missing, application.third_needed, application.had_a_third) == (
        missing,
        third_needed,
        had_a_third,
    )


def test_a_call_can_be_ranked_when_it_is_closed_and_nothing_is_undecided_or_missing() -> None:
    closed, opened = (Call(uuid7(), state, rules()) for state in ("closed", "open"))
    done, lacking = in_panel(90, 70), in_panel(90, 69)
    assert domain.ranking_problems(closed, undecided=0, eligible=[done, done]) == ()
    assert [one.code for one in domain.ranking_problems(opened, undecided=0, eligible=[])] == ["call-not-closed"]
    problems = domain.ranking_problems(opened, undecided=3, eligible=[done, lacking])
    assert [one.code for one in problems] == ["call-not-closed", "eligibility-undecided", "review-missing"]
    assert problems[-1].detail == {"application_id": str(lacking.application_id), "missing": 1}


def test_not_more_missing_reviews_are_named_than_fit_into_an_answer() -> None:
    closed = Call(uuid7(), "closed", rules())
    problems = domain.ranking_problems(closed, undecided=0, eligible=[in_panel() for _ in range(103)])
    assert [one.code for one in problems] == ["review-missing"] * 100 + ["more-problems"]
    assert problems[-1].detail == {"number": 3}
