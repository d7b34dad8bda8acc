"""The order of merit on a real database: when it can be made, what it says, that it is made once."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from uuid_utils.compat import uuid7

from services.evaluation import commands, queries
from shared.contracts.aid_calls import (
    ApplicationRuledEligible,
    ApplicationRuledIneligible,
    ApplicationSubmitted,
    ApplicationWithdrawn,
    CallOpened,
)
from shared.contracts.evaluation import FinaliseRanking, RankedApplication, Ranking, RankingAnswer, RankingFinalised
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
    organiser,
    panel_of,
    reviewed,
    sent,
    the_application,
    the_rules,
)


def place(rank: int, key: object, total: str, means: tuple[str, ...], reviews: int = 2) -> RankedApplication:
    """One line of an order of merit."""
    return RankedApplication.model_validate(
        {"application_id": key, "rank": rank, "total": total, "criterion_means": means, "reviews": reviews}
    )


async def test_the_order_of_merit_is_told_whole_kept_and_answered(tx: Tx) -> None:
    call_id, (last, best, thrice) = await a_closed_call(tx, applications=3)
    await panel_of(tx, call_id, best, scores=[GOOD, GOOD])
    await panel_of(tx, call_id, last, scores=[POOR, POOR])
    await panel_of(tx, call_id, thrice, scores=[GOOD, POOR])
    await panel_of(tx, call_id, thrice, scores=[FAIR])
    ranking = (
        place(1, best, "100.00", ("10.00", "10.00")),
        place(2, thrice, "80.00", ("7.00", "7.00"), reviews=3),
        place(3, last, "30.00", ("3.00", "3.00")),
    )
    decision = await commands.finalise_ranking(tx, FinaliseRanking(call_id=call_id), by())
    assert decision == Decision(ids={}, facts=(RankingFinalised(version=1, call_id=call_id, ranking=ranking),))
    answer = await queries.ranking(tx, Ranking(call_id=call_id), None)
    assert answer == RankingAnswer(finalised=True, ranking=ranking, third_reviews=(thrice,))
    assert [str(mean) for mean in answer.ranking[1].criterion_means] == ["7.00", "7.00"]
    assert answer.ranking[1].total == Decimal("80.00")


async def test_a_call_is_ranked_once(tx: Tx) -> None:
    call_id, (key,) = await a_closed_call(tx)
    await panel_of(tx, call_id, key, scores=[GOOD, FAIR])
    command = FinaliseRanking(call_id=call_id)
    assert (await commands.finalise_ranking(tx, command, by())).problems == ()
    assert codes(await commands.finalise_ranking(tx, command, by())) == [("already-finalised", "call_id")]
    assert await tx.fetchval("select count(*) from evaluation.rankings") == 1


async def test_everything_that_stands_in_the_way_is_named(tx: Tx) -> None:
    rules = the_rules()
    call_id = rules["call_id"]
    done, none, one, diverging, undecided, gone, out = (the_application(call_id) for _ in range(7))
    await hear(tx, [CallOpened(**rules, version=2)])
    await hear(tx, [ApplicationRuledEligible(**state, version=2) for state in (done, none, one, diverging)])
    await hear(tx, [ApplicationSubmitted(**undecided, version=1), ApplicationWithdrawn(**gone, version=2)])
    await hear(tx, [ApplicationRuledIneligible(**out, version=2, reasons=("under-age",))])
    await panel_of(tx, call_id, done["application_id"], scores=[GOOD, FAIR])
    await panel_of(tx, call_id, one["application_id"], scores=[GOOD])
    await panel_of(tx, call_id, diverging["application_id"], scores=[GOOD, POOR])
    decision = await commands.finalise_ranking(tx, FinaliseRanking(call_id=call_id), by())
    assert codes(decision)[:2] == [("call-not-closed", "call_id"), ("eligibility-undecided", "call_id")]
    assert decision.problems[1].detail == {"applications": 1}
    missing = {none["application_id"]: 2, one["application_id"]: 1, diverging["application_id"]: 1}
    assert [(problem.code, problem.detail) for problem in decision.problems[2:]] == [
        ("review-missing", {"application_id": str(key), "missing": missing[key]}) for key in sorted(missing)
    ]
    assert decision.facts == ()
    assert (await queries.ranking(tx, Ranking(call_id=call_id), None)).finalised is False


async def test_a_call_without_eligible_applications_has_an_empty_order_of_merit(tx: Tx) -> None:
    call_id, _ = await a_closed_call(tx, applications=0)
    (fact,) = (await commands.finalise_ranking(tx, FinaliseRanking(call_id=call_id), by())).facts
    assert fact == RankingFinalised(version=1, call_id=call_id, ranking=())


async def test_what_was_withdrawn_is_not_waited_for_and_not_ranked(tx: Tx) -> None:
    call_id, (key, gone) = await a_closed_call(tx, applications=2)
    await panel_of(tx, call_id, key, scores=[GOOD, FAIR])
    member = evaluator()
    await assigned(tx, call_id, member, gone)
    await reviewed(tx, (member, gone, GOOD))
    await hear(tx, [ApplicationWithdrawn(**the_application(call_id, application_id=gone), version=3)])
    (fact,) = (await commands.finalise_ranking(tx, FinaliseRanking(call_id=call_id), by())).facts
    assert isinstance(fact, RankingFinalised)
    assert [one.application_id for one in fact.ranking] == [key]


async def test_an_unknown_call_and_one_of_another_region_are_not_ranked(tx: Tx) -> None:
    call_id, _ = await a_closed_call(tx, applications=0)
    unknown = await commands.finalise_ranking(tx, FinaliseRanking(call_id=uuid7()), by())
    assert codes(unknown) == [("no-such-call", "call_id")]
    elsewhere = await commands.finalise_ranking(tx, FinaliseRanking(call_id=call_id), by(organiser("15")))
    assert codes(elsewhere) == [("not-allowed", "call_id")]


async def test_reviews_count_in_the_order_they_were_taken_whatever_the_bus_says_of_when(tx: Tx) -> None:
    call_id, (key,) = await a_closed_call(tx)
    await panel_of(tx, call_id, key, scores=[GOOD, POOR])
    early = evaluator()
    await assigned(tx, call_id, early, key)
    await commands.submit_reviews(tx, [sent(a_review(key, GOOD), early, NOW - timedelta(hours=1))])
    (fact,) = (await commands.finalise_ranking(tx, FinaliseRanking(call_id=call_id), by())).facts
    assert isinstance(fact, RankingFinalised)
    assert [(str(one.total), one.reviews) for one in fact.ranking] == [("100.00", 3)]
