"""A ranking is heard and the fund allocated, on a real database: states, facts, and that it happens once."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from uuid_utils.compat import uuid7

from services.aid_calls import commands, queries
from shared.contracts import Fact
from shared.contracts.aid_calls import (
    AidAwarded,
    AidReserved,
    ApplicationNotSelected,
    ApplicationRuledEligible,
    ApplicationRuledIneligible,
    Award,
    CallResults,
    CallResultsAnswer,
    CallResultsPublished,
)
from shared.db import Tx
from tests.aid_calls.cast import (
    CLOSES_AT,
    a_ranking,
    an_application,
    applied_to,
    by,
    call_state,
    closed_and_ruled,
    codes,
    entered,
    heard,
    participant,
    sent,
    states,
    withdrawal,
)

Result = AidAwarded | AidReserved | ApplicationNotSelected


def told(facts: list[Fact]) -> list[tuple[Any, ...]]:
    """Results in the order of their facts: kind, rank, version, money or place."""
    found: list[tuple[Any, ...]] = []
    for fact in facts:
        if isinstance(fact, AidAwarded):
            found.append(("awarded", fact.rank, fact.version, fact.money, str(fact.amount)))
        elif isinstance(fact, AidReserved):
            found.append(("reserve", fact.rank, fact.version, fact.position))
        elif isinstance(fact, ApplicationNotSelected):
            found.append(("not-selected", fact.rank, fact.version))
    return found


async def test_the_fund_is_allocated_down_the_order_of_merit_and_everybody_is_told(tx: Tx) -> None:
    # Half of the fund is for regions other than Lima; an aid for Arequipa is 520, for Lima 780.
    call_id = await entered(tx, fund="2100.00")
    regions = ("15", "04", "15", "04", "04", "04")
    applications = await applied_to(tx, call_id, *({"region": region} for region in regions))
    await closed_and_ruled(tx)
    keys = [one.application_id for one in applications]
    facts = await heard(tx, a_ranking(call_id, *zip(keys, ("95", "90", "85", "80", "60", "59.99"), strict=True)))
    assert told(facts) == [
        ("awarded", 1, 3, "general", "780.00"),
        ("awarded", 2, 3, "reserved", "520.00"),
        ("awarded", 4, 3, "reserved", "520.00"),
        ("reserve", 3, 3, 1),
        ("reserve", 5, 3, 2),
        ("not-selected", 6, 3),
    ]
    code = await tx.fetchval("select code from aid_calls.calls where call_id = $1", call_id)
    assert facts[-1] == CallResultsPublished(
        version=4,
        call_id=call_id,
        code=code,
        currency="PEN",
        awards=3,
        reserve=2,
        not_selected=1,
        total_awarded=Decimal("1820.00"),
        left=Decimal("280.00"),
    )
    assert await call_state(tx, call_id) == ("results-published", 4, Decimal("1820.00"))
    answer = await queries.call_results(tx, CallResults(call_id=call_id), None)
    awards = [(0, 1, "780.00", "general"), (1, 2, "520.00", "reserved"), (3, 4, "520.00", "reserved")]
    assert answer == CallResultsAnswer(
        state="results-published",
        applications=6,
        withdrawn=0,
        undecided=0,
        eligible=6,
        ineligible={},
        awarded=tuple(
            Award.model_validate({"application_id": keys[n], "rank": rank, "amount": amount, "money": money})
            for n, rank, amount, money in awards
        ),
        reserve=(keys[2], keys[4]),
        not_selected=(keys[5],),
        total_awarded=Decimal("1820.00"),
        left=Decimal("280.00"),
    )


async def test_a_ranking_heard_twice_allocates_once(tx: Tx) -> None:
    call_id = await entered(tx)
    (one,) = await applied_to(tx, call_id, {})
    await closed_and_ruled(tx)
    ranking = a_ranking(call_id, (one.application_id, "90"))
    facts = await heard(tx, ranking, ranking)
    before = await states(tx, call_id)
    assert [fact.name for fact in facts] == ["aid-awarded", "call-results-published"]
    assert await heard(tx, ranking) == []
    assert await states(tx, call_id) == before == {one.application_id: ("awarded", 3)}


async def test_what_was_withdrawn_after_it_was_ranked_gets_nothing_and_the_next_does(tx: Tx) -> None:
    call_id, rosa = await entered(tx, fund="600.00"), participant()  # enough for one of the two
    other, gone = an_application(call_id), an_application(call_id)
    await commands.submit_applications(tx, [sent(gone, rosa), sent(other, participant())])
    await closed_and_ruled(tx)
    ranking = a_ranking(call_id, (gone.application_id, "95"), (other.application_id, "90"))
    await commands.withdraw_application(tx, withdrawal(gone.application_id), by(rosa))
    assert told(await heard(tx, ranking)) == [("awarded", 2, 3, "general", "520.00")]
    assert await heard(tx, ranking) == []
    assert await states(tx, call_id) == {other.application_id: ("awarded", 3), gone.application_id: ("withdrawn", 3)}


async def test_rankings_of_several_calls_heard_together_are_allocated_each(tx: Tx) -> None:
    calls = [await entered(tx) for _ in range(3)]
    applications = [(await applied_to(tx, call_id, {}))[0] for call_id in calls]
    await closed_and_ruled(tx)
    rankings = [a_ranking(one.call_id, (one.application_id, "90")) for one in applications]
    facts = await heard(tx, *rankings)
    awarded = [fact.application_id for fact in facts if isinstance(fact, AidAwarded)]
    assert awarded == [one.application_id for one in applications]


async def test_a_ranking_of_a_call_that_is_not_known_changes_nothing(tx: Tx) -> None:
    call_id = await entered(tx)
    (one,) = await applied_to(tx, call_id, {})
    await closed_and_ruled(tx)
    assert await heard(tx, a_ranking(uuid7(), (one.application_id, "90"))) == []
    assert await states(tx, call_id) == {one.application_id: ("eligible", 2)}


async def test_what_a_ranking_says_of_other_calls_applications_and_of_ineligible_ones_is_not_heeded(tx: Tx) -> None:
    call_id, other_call = await entered(tx), await entered(tx)
    good, bad = await applied_to(tx, call_id, {}, {"region": "08"})
    (foreign,) = await applied_to(tx, other_call, {})
    await closed_and_ruled(tx)
    keys = (foreign.application_id, bad.application_id, uuid7(), good.application_id)
    facts = await heard(tx, a_ranking(call_id, *((key, "90") for key in keys)))
    assert told(facts) == [("awarded", 4, 3, "reserved", "520.00")]
    assert await states(tx, other_call) == {foreign.application_id: ("eligible", 2)}
    assert await states(tx, call_id) == {good.application_id: ("awarded", 3), bad.application_id: ("ineligible", 2)}


async def test_a_call_without_anybody_publishes_that_nobody_is_awarded(tx: Tx) -> None:
    call_id = await entered(tx)
    await closed_and_ruled(tx)
    (fact,) = await heard(tx, a_ranking(call_id))
    assert isinstance(fact, CallResultsPublished)
    assert (fact.awards, fact.total_awarded, fact.left) == (0, Decimal("0.00"), Decimal("3000.00"))
    assert await call_state(tx, call_id) == ("results-published", 4, 0)


async def test_an_application_in_time_that_comes_after_the_ranking_is_ruled_on_and_named_as_unranked(tx: Tx) -> None:
    call_id = await entered(tx)
    (ranked,) = await applied_to(tx, call_id, {})
    await closed_and_ruled(tx)
    late_eligible, late_ineligible = an_application(call_id), an_application(call_id, region="08")
    await commands.submit_applications(
        tx, [sent(one, participant(), CLOSES_AT) for one in (late_eligible, late_ineligible)]
    )
    facts = await heard(tx, a_ranking(call_id, (ranked.application_id, "90")))
    rulings = {
        fact.application_id: (type(fact), fact.version)
        for fact in facts
        if isinstance(fact, ApplicationRuledEligible | ApplicationRuledIneligible)
    }
    assert rulings == {
        late_eligible.application_id: (ApplicationRuledEligible, 2),
        late_ineligible.application_id: (ApplicationRuledIneligible, 2),
    }
    assert [fact.name for fact in facts[2:]] == ["aid-awarded", "call-results-published"]
    answer = await queries.call_results(tx, CallResults(call_id=call_id), None)
    assert (answer.undecided, answer.eligible, answer.unranked) == (0, 2, (late_eligible.application_id,))
    assert answer.ineligible == {late_ineligible.application_id: ("resides-in-host-region",)}


async def test_an_application_in_time_that_comes_after_the_results_is_refused_and_told_why(tx: Tx) -> None:
    call_id = await entered(tx)
    await closed_and_ruled(tx)
    await heard(tx, a_ranking(call_id))
    (decision,) = await commands.submit_applications(tx, [sent(an_application(call_id), participant(), CLOSES_AT)])
    assert codes(decision) == [("results-published", "call_id")]


async def test_an_application_that_was_not_ranked_may_still_be_withdrawn(tx: Tx) -> None:
    call_id, rosa = await entered(tx), participant()
    command = an_application(call_id)
    await commands.submit_applications(tx, [sent(command, rosa)])
    await closed_and_ruled(tx)
    await heard(tx, a_ranking(call_id))
    decision = await commands.withdraw_application(tx, withdrawal(command.application_id), by(rosa))
    assert codes(decision) == []
    answer = await queries.call_results(tx, CallResults(call_id=call_id), None)
    assert (answer.withdrawn, answer.unranked) == (1, ())
