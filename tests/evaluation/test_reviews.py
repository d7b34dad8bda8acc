"""Reviews on a real database: what is kept and told, repetitions, a whole jury in one batch, refusals."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from services.evaluation import commands
from shared.contracts.aid_calls import ApplicationWithdrawn
from shared.contracts.evaluation import DeclareConflict, FinaliseRanking, ReviewSubmitted
from shared.db import Tx
from shared.messaging import Decision
from tests.evaluation.cast import (
    FAIR,
    GOOD,
    NOW,
    POOR,
    a_closed_call,
    a_review,
    assigned,
    by,
    codes,
    evaluator,
    hear,
    panel_of,
    reviewed,
    sent,
    the_application,
)


async def totals(tx: Tx, application_id: UUID) -> list[str]:
    """The totals of an application's reviews, in the order they came."""
    rows = await tx.fetch(
        "select total from evaluation.reviews where application_id = $1 order by version", application_id
    )
    return [str(row["total"]) for row in rows]


def told(decisions: Any) -> list[tuple[int, int, bool]]:
    """Version, reviews and whether a third is needed, of every fact."""
    facts = [fact for decision in decisions for fact in decision.facts]
    return [(fact.version, fact.reviews, fact.third_needed) for fact in facts]


async def test_a_review_is_kept_whole_and_told_without_its_scores(tx: Tx) -> None:
    call_id, (key,) = await a_closed_call(tx)
    member = evaluator()
    await assigned(tx, call_id, member, key)
    scores = {"relevance": "9.5", "networks": "7"}
    (decision,) = await reviewed(tx, (member, key, scores))
    fact = ReviewSubmitted(
        version=1,
        application_id=key,
        call_id=call_id,
        evaluator_id=member.person_id,
        reviews=1,
        third_needed=False,
    )
    assert decision == Decision(ids={}, facts=(fact,))
    row = await tx.fetchrow("select scores::jsonb, comment, total, submitted_at from evaluation.reviews")
    assert row is not None
    assert tuple(row) == ('{"networks": "7", "relevance": "9.5"}', "Sustento.", Decimal("85.00"), NOW)
    assert await tx.fetchval("select state from evaluation.assignments") == "reviewed"


async def test_the_same_review_again_changes_nothing_and_another_one_is_refused(tx: Tx) -> None:
    call_id, (key,) = await a_closed_call(tx)
    (member,) = await panel_of(tx, call_id, key, scores=[GOOD])
    rewritten = {name: f"{score}.00" for name, score in GOOD.items()}
    assert await reviewed(tx, (member, key, GOOD), (member, key, rewritten)) == [Decision(ids={})] * 2
    other_reason = sent(a_review(key, GOOD, "Otro sustento."), member)
    refused = [*await reviewed(tx, (member, key, FAIR)), *await commands.submit_reviews(tx, [other_reason])]
    assert [codes(decision) for decision in refused] == [[("already-reviewed", "application_id")]] * 2
    assert await totals(tx, key) == ["100.00"]


async def test_reviews_of_one_batch_see_those_before_them(tx: Tx) -> None:
    call_id, (first, second) = await a_closed_call(tx, applications=2)
    one, two = evaluator(), evaluator()
    for member in (one, two):
        await assigned(tx, call_id, member, first, second)
    decisions = await reviewed(
        tx,
        (one, first, GOOD),
        (two, first, POOR),
        (one, first, GOOD),
        (two, first, GOOD),
        (one, second, GOOD),
        (two, second, FAIR),
    )
    assert told(decisions) == [(1, 1, False), (2, 2, True), (1, 1, False), (2, 2, False)]
    assert [codes(decision) for decision in decisions] == [[], [], [], [("already-reviewed", "application_id")], [], []]
    assert decisions[2].facts == ()
    assert await totals(tx, first) == ["100.00", "30.00"]
    assert await totals(tx, second) == ["100.00", "80.00"]


async def test_totals_that_differ_by_exactly_the_limit_do_not_diverge(tx: Tx) -> None:
    call_id, (exactly, over) = await a_closed_call(tx, applications=2)
    one, two = evaluator(), evaluator()
    for member in (one, two):
        await assigned(tx, call_id, member, exactly, over)
    decisions = await reviewed(
        tx,
        (one, exactly, GOOD),
        (two, exactly, FAIR),
        (one, over, GOOD),
        (two, over, {"relevance": "8", "networks": "7.97"}),
    )
    assert [third for *_, third in told(decisions)] == [False, False, False, True]


async def test_the_third_review_ends_the_need_for_one(tx: Tx) -> None:
    call_id, (key,) = await a_closed_call(tx)
    await panel_of(tx, call_id, key, scores=[GOOD, POOR])
    member = evaluator()
    await assigned(tx, call_id, member, key)
    assert told(await reviewed(tx, (member, key, FAIR))) == [(3, 3, False)]


async def test_conflicts_and_reviews_count_as_versions_of_the_same_application(tx: Tx) -> None:
    call_id, (key,) = await a_closed_call(tx)
    one, two = evaluator(), evaluator()
    for member in (one, two):
        await assigned(tx, call_id, member, key)
    (conflict,) = (await commands.declare_conflict(tx, DeclareConflict(application_id=key), by(one))).facts
    assert conflict.version == 1
    assert told(await reviewed(tx, (two, key, GOOD))) == [(2, 1, False)]


@pytest.mark.parametrize("how", ["nobody's", "another's", "given up", "unknown"])
async def test_only_an_evaluator_with_an_assignment_can_review(tx: Tx, how: str) -> None:
    call_id, (key,) = await a_closed_call(tx)
    member = evaluator()
    if how == "another's":
        await assigned(tx, call_id, evaluator(), key)
    if how == "given up":
        await assigned(tx, call_id, member, key)
        await commands.declare_conflict(tx, DeclareConflict(application_id=key), by(member))
    (decision,) = await reviewed(tx, (member, uuid7() if how == "unknown" else key, GOOD))
    assert codes(decision) == [("not-assigned", "application_id")]
    assert decision.facts == ()


async def test_every_problem_of_the_scores_is_named(tx: Tx) -> None:
    call_id, (key,) = await a_closed_call(tx, score_min="1")
    member = evaluator()
    await assigned(tx, call_id, member, key)
    (decision,) = await reviewed(tx, (member, key, {"networks": "0.99", "style": "5", "wit": "11"}))
    assert codes(decision) == [
        ("missing-score", "scores.relevance"),
        ("unknown-criterion", "scores.style"),
        ("unknown-criterion", "scores.wit"),
        ("score-out-of-range", "scores.networks"),
    ]
    assert decision.problems[-1].detail == {"min": "1", "max": "10"}
    assert await totals(tx, key) == []
    assert [one.problems for one in await reviewed(tx, (member, key, {"networks": "1", "relevance": "10"}))] == [()]


async def test_a_withdrawn_application_is_not_reviewed(tx: Tx) -> None:
    call_id, (key,) = await a_closed_call(tx)
    member = evaluator()
    await assigned(tx, call_id, member, key)
    await hear(tx, [ApplicationWithdrawn(**the_application(call_id, application_id=key), version=3)])
    (decision,) = await reviewed(tx, (member, key, {"networks": "10"}))
    assert codes(decision) == [("application-withdrawn", "application_id"), ("missing-score", "scores.relevance")]


async def test_nothing_is_assigned_reviewed_or_declared_once_the_call_is_ranked(tx: Tx) -> None:
    call_id, (key, dropped) = await a_closed_call(tx, applications=2)
    (first, _) = await panel_of(tx, call_id, key, scores=[GOOD, FAIR])
    late = evaluator()
    await assigned(tx, call_id, late, dropped)
    await hear(tx, [ApplicationWithdrawn(**the_application(call_id, application_id=dropped), version=3)])
    assert (await commands.finalise_ranking(tx, FinaliseRanking(call_id=call_id), by())).problems == ()
    conflict = await commands.declare_conflict(tx, DeclareConflict(application_id=dropped), by(late))
    assert codes(conflict) == [("ranking-finalised", "application_id")]
    assert codes(await assigned(tx, call_id, late, key)) == [("ranking-finalised", "call_id")]
    (review, repeated) = await reviewed(tx, (late, dropped, GOOD), (first, key, GOOD))
    assert codes(review) == [("application-withdrawn", "application_id"), ("ranking-finalised", "application_id")]
    assert repeated == Decision(ids={})
