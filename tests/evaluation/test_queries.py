"""What evaluation tells, on a real database: a panel's progress, a ranking not made yet, the measure report."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from uuid_utils.compat import uuid7

from services.evaluation import commands, queries
from shared.contracts.aid_calls import (
    AidAwarded,
    ApplicationRuledEligible,
    ApplicationSubmitted,
    ApplicationWithdrawn,
    CallOpened,
)
from shared.contracts.evaluation import (
    ApplicationProgress,
    Converted,
    DeclareConflict,
    FinaliseRanking,
    MeasureReport,
    MeasureReportAnswer,
    PanelProgress,
    PanelProgressAnswer,
    Ranking,
    RankingAnswer,
    RecordExchangeRate,
)
from shared.contracts.people import Sector
from shared.contracts.registration import (
    MeetingPublished,
    RegistrationCancelled,
    RegistrationConfirmed,
    RegistrationPromoted,
)
from shared.db import Tx
from shared.messaging import Decision, QuestionRefused
from tests.evaluation.cast import (
    AWARD,
    FAIR,
    GOOD,
    NOW,
    POOR,
    a_closed_call,
    assigned,
    by,
    codes,
    evaluator,
    hear,
    panel_of,
    the_application,
    the_meeting,
    the_registration,
    the_rules,
)


async def progress(tx: Tx, call_id: object) -> PanelProgressAnswer:
    """How far a panel is."""
    return await queries.panel(tx, PanelProgress.model_validate({"call_id": call_id}), None)


async def test_a_panels_progress_names_every_eligible_application_in_order_of_acceptance(tx: Tx) -> None:
    call_id, keys = await a_closed_call(tx, applications=5)
    untouched, conflicted, begun, diverging, done = keys
    await panel_of(tx, call_id, done, scores=[GOOD, FAIR])
    await panel_of(tx, call_id, diverging, scores=[GOOD, POOR])
    (member,) = await panel_of(tx, call_id, begun, scores=[GOOD])
    await assigned(tx, call_id, evaluator(), begun)
    await assigned(tx, call_id, member, conflicted)
    await commands.declare_conflict(tx, DeclareConflict(application_id=conflicted), by(member))
    answer = await progress(tx, call_id)
    assert answer.applications == tuple(
        ApplicationProgress(application_id=key, assigned=given, reviews=reviews, third_needed=third, complete=complete)
        for key, given, reviews, third, complete in (
            (untouched, 0, 0, False, False),
            (conflicted, 0, 0, False, False),
            (begun, 2, 1, False, False),
            (diverging, 2, 2, True, False),
            (done, 2, 2, False, True),
        )
    )
    assert answer.complete is False
    await panel_of(tx, call_id, diverging, scores=[FAIR])
    after = {one.application_id: one for one in (await progress(tx, call_id)).applications}
    assert (after[diverging].third_needed, after[diverging].complete) == (False, True)


async def test_a_panel_is_complete_exactly_when_its_call_can_be_ranked(tx: Tx) -> None:
    call_id, (key,) = await a_closed_call(tx)
    late = the_application(call_id)
    await hear(tx, [ApplicationSubmitted(**late, version=1)])
    await panel_of(tx, call_id, key, scores=[GOOD, FAIR])
    answer = await progress(tx, call_id)
    assert (answer.complete, answer.undecided) == (False, 1)
    assert codes(await commands.finalise_ranking(tx, FinaliseRanking(call_id=call_id), by())) == [
        ("eligibility-undecided", "call_id")
    ]
    await hear(tx, [ApplicationWithdrawn(**late, version=2)])
    answer = await progress(tx, call_id)
    assert (answer.complete, answer.undecided) == (True, 0)
    assert (await commands.finalise_ranking(tx, FinaliseRanking(call_id=call_id), by())).problems == ()


async def test_the_panel_of_an_open_call_is_not_complete(tx: Tx) -> None:
    rules = the_rules()
    await hear(tx, [CallOpened(**rules, version=2)])
    assert await progress(tx, rules["call_id"]) == PanelProgressAnswer(applications=(), complete=False, undecided=0)


async def test_an_unknown_call_has_neither_progress_nor_ranking(tx: Tx) -> None:
    with pytest.raises(QuestionRefused, match="no-such-call"):
        await progress(tx, uuid7())
    with pytest.raises(QuestionRefused, match="no-such-call"):
        await queries.ranking(tx, Ranking(call_id=uuid7()), None)


async def test_a_ranking_is_empty_until_it_is_made(tx: Tx) -> None:
    call_id, _ = await a_closed_call(tx)
    answer = await queries.ranking(tx, Ranking(call_id=call_id), None)
    assert answer == RankingAnswer(finalised=False, ranking=(), third_reviews=())


async def rate(tx: Tx, pen_per_usd: str, day: str, source: str = "SBS", later: int = 0) -> Decision:
    """A rate is recorded."""
    command = RecordExchangeRate(pen_per_usd=Decimal(pen_per_usd), date=date.fromisoformat(day), source=source)
    return await commands.record_exchange_rate(tx, command, by(at=NOW + timedelta(seconds=later)))


async def report(tx: Tx) -> MeasureReportAnswer:
    """The measure report."""
    return await queries.measure_report(tx, MeasureReport(), None)


async def test_a_report_of_nothing_is_all_zeros(tx: Tx) -> None:
    assert await report(tx) == MeasureReportAnswer(
        meetings=0,
        places=(),
        capacity=0,
        registrations=0,
        people=0,
        regions={},
        sectors={},
        calls=0,
        applications=0,
        eligible=0,
        awards=0,
        pen=Decimal(0),
        usd=None,
    )


async def test_the_report_adds_up_what_was_heard(tx: Tx) -> None:
    twice, once, gone = uuid7(), uuid7(), uuid7()
    older, newer = the_registration(person_id=twice, region="15"), the_registration(person_id=twice, region="08")
    rules = the_rules()
    states = [the_application(rules["call_id"]) for _ in range(5)]
    await hear(
        tx,
        [
            *(
                MeetingPublished(**the_meeting(city=city, capacity=capacity), version=2)
                for city, capacity in (("Tacna", 80), ("Cusco", 120), ("Tacna", 60))
            ),
            RegistrationConfirmed(**newer, version=1),
            RegistrationConfirmed(**older, version=1),
            RegistrationPromoted(**the_registration(person_id=once, region=None, sector=Sector.DESIGN), version=2),
            RegistrationCancelled(**the_registration(person_id=gone), version=2),
            CallOpened(**rules, version=2),
            ApplicationSubmitted(**states[0], version=1),
            ApplicationWithdrawn(**states[1], version=2),
            ApplicationRuledEligible(**states[2], version=2),
            AidAwarded(**states[3], **AWARD, amount=Decimal("780.00"), version=3),
            AidAwarded(**states[4], **AWARD, amount=Decimal("512.35"), version=3),
        ],
    )
    await rate(tx, "3.375", "2019-10-01")
    assert await report(tx) == MeasureReportAnswer(
        meetings=3,
        places=("Cusco", "Tacna"),
        capacity=260,
        registrations=3,
        people=2,
        regions={"08": 1},
        sectors={"design": 1, "music": 1},
        calls=1,
        applications=5,
        eligible=3,
        awards=2,
        pen=Decimal("1292.35"),
        usd=Converted(amount=Decimal("382.92"), pen_per_usd=Decimal("3.375"), date=date(2019, 10, 1), source="SBS"),
    )


async def test_the_report_converts_with_the_newest_day_and_of_that_with_what_was_recorded_last(tx: Tx) -> None:
    await rate(tx, "3.30", "2019-10-02", later=9)
    await rate(tx, "3.41", "2019-10-03", "SUNAT", later=1)
    await rate(tx, "3.40", "2019-10-03", "SBS", later=2)
    found = (await report(tx)).usd
    assert found is not None
    assert (str(found.pen_per_usd), found.source) == ("3.40", "SBS")


async def test_a_days_rate_of_a_source_is_recorded_once(tx: Tx) -> None:
    assert await rate(tx, "3.75", "2019-10-03") == Decision(ids={})
    assert await rate(tx, "3.750000", "2019-10-03") == Decision(ids={})
    assert codes(await rate(tx, "3.76", "2019-10-03")) == [("rate-already-recorded", "pen_per_usd")]
    assert (await rate(tx, "3.76", "2019-10-03", "SUNAT")).problems == ()
    assert await tx.fetchval("select count(*) from evaluation.exchange_rates") == 2


@pytest.mark.parametrize(("pen_per_usd", "plausible"), [("0.27", False), ("0.5", True), ("50", True), ("375", False)])
async def test_a_rate_upside_down_or_without_its_point_is_refused(tx: Tx, pen_per_usd: str, *, plausible: bool) -> None:
    problems = codes(await rate(tx, pen_per_usd, "2019-10-03"))
    assert problems == ([] if plausible else [("implausible-rate", "pen_per_usd")])
    assert await tx.fetchval("select count(*) from evaluation.exchange_rates") == plausible
