"""What evaluation can tell: how far a panel is, the order of merit, the figures of the measure report."""

from __future__ import annotations

import json
from typing import Any

from services.evaluation import domain, report, scoring
from shared.contracts.aid_calls import CallRules
from shared.contracts.evaluation import (
    ApplicationProgress,
    MeasureReport,
    MeasureReportAnswer,
    PanelProgress,
    PanelProgressAnswer,
    Ranking,
    RankingAnswer,
)
from shared.db import Tx
from shared.identity import Actor
from shared.messaging import QuestionRefused


async def panel(tx: Tx, question: PanelProgress, _actor: Actor | None) -> PanelProgressAnswer:
    """How far a panel is: every application before it, in the order they were accepted."""
    call = await tx.fetchrow(
        """
        select state, rules, (select count(*) from evaluation.applications a
                               where a.call_id = c.call_id and a.state = 'submitted') as undecided
          from evaluation.calls c where call_id = $1
        """,
        question.call_id,
    )
    if call is None:
        raise QuestionRefused("no-such-call")
    rows = await tx.fetch(
        """
        select a.application_id,
               count(*) filter (where s.state <> 'conflict') as assigned,
               array_agg(r.total order by r.version) filter (where r.total is not null) as totals
          from evaluation.applications a
          left join evaluation.assignments s using (call_id, application_id)
          left join evaluation.reviews r using (application_id, evaluator_id)
         where a.call_id = $1 and a.state in ('eligible', 'awarded')
         group by a.application_id
         order by a.accepted_at, a.application_id
        """,
        question.call_id,
    )
    rules = CallRules.model_validate_json(call["rules"])
    applications = tuple(_progress(row, rules) for row in rows)
    return PanelProgressAnswer(
        applications=applications,
        undecided=call["undecided"],
        complete=call["state"] == "closed"
        and not call["undecided"]
        and all(application.complete for application in applications),
    )


def _progress(row: Any, rules: CallRules) -> ApplicationProgress:
    totals = tuple(row["totals"] or ())
    return ApplicationProgress(
        application_id=row["application_id"],
        assigned=row["assigned"],
        reviews=len(totals),
        third_needed=domain.third_needed(totals, rules=rules),
        complete=scoring.reviews_missing(totals, rules=rules) == 0,
    )


async def ranking(tx: Tx, question: Ranking, _actor: Actor | None) -> RankingAnswer:
    """The order of merit of a call, empty until it is made."""
    row = await tx.fetchrow(
        """
        select r.ranking, r.third_reviews
          from evaluation.calls c left join evaluation.rankings r using (call_id) where c.call_id = $1
        """,
        question.call_id,
    )
    if row is None:
        raise QuestionRefused("no-such-call")
    if row["ranking"] is None:
        return RankingAnswer(finalised=False, ranking=(), third_reviews=())
    return RankingAnswer(finalised=True, ranking=json.loads(row["ranking"]), third_reviews=row["third_reviews"])


async def measure_report(tx: Tx, _question: MeasureReport, _actor: Actor | None) -> MeasureReportAnswer:
    """The figures of the measure, from what has been heard so far."""
    totals = await tx.fetchrow(
        """
        select m.meetings, m.places, m.capacity, r.registrations, c.calls, a.applications, a.eligible, a.awards, a.pen
          from (select count(*) as meetings, coalesce(sum(capacity), 0) as capacity,
                       coalesce(array_agg(distinct city order by city), '{}') as places
                  from evaluation.meetings) m,
               (select count(*) as registrations from evaluation.registrations where state = 'confirmed') r,
               (select count(*) as calls from evaluation.calls) c,
               (select count(*) as applications, count(*) filter (where state in ('eligible', 'awarded')) as eligible,
                       count(amount) as awards, coalesce(sum(amount), 0) as pen
                  from evaluation.applications) a
        """
    )
    people = await tx.fetch(
        """
        select region, sector, count(*) as people
          from (select distinct on (person_id) region, sector
                  from evaluation.registrations
                 where state = 'confirmed'
                 order by person_id, registration_id desc) newest
         group by region, sector
        """
    )
    rate = await tx.fetchrow(
        """
        select pen_per_usd, date, source from evaluation.exchange_rates
         order by date desc, recorded_at desc, source limit 1
        """
    )
    assert totals is not None  # noqa: S101 — aggregates always have one row
    return report.figures(
        report.Totals(**{**totals, "places": tuple(totals["places"])}),
        people=[report.People(**group) for group in people],
        rate=report.ExchangeRate(**rate) if rate else None,
    )
