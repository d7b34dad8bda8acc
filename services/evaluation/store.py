"""Write-side SQL of evaluation: what others have said, assignments, reviews, rankings, rates; one statement each.

What others have said is kept by version: of the same thing the last version stands, in whatever order and however
often it is heard.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from typing import Any, Literal
from uuid import UUID

from services.evaluation.domain import ApplicationPhase, Call, Review, UnderReview
from shared.contracts.aid_calls import (
    AidAwarded,
    ApplicationRuledEligible,
    ApplicationRuledIneligible,
    ApplicationSubmitted,
    ApplicationWithdrawn,
    CallClosed,
    CallOpened,
    CallRules,
)
from shared.contracts.evaluation import RankedApplication, RecordExchangeRate
from shared.contracts.registration import (
    MeetingPublished,
    RegistrationCancelled,
    RegistrationConfirmed,
    RegistrationPromoted,
)
from shared.db import Tx

AboutRegistration = RegistrationConfirmed | RegistrationPromoted | RegistrationCancelled
AboutCall = CallOpened | CallClosed
AboutApplication = (
    ApplicationSubmitted | ApplicationWithdrawn | ApplicationRuledEligible | ApplicationRuledIneligible | AidAwarded
)

_RULES = set(CallRules.model_fields)


async def keep_meetings(tx: Tx, *, facts: Sequence[MeetingPublished]) -> None:
    """Keep the last version of meetings."""
    await tx.execute(
        """
        insert into evaluation.meetings (meeting_id, version, city, region, capacity)
        select distinct on (meeting_id) meeting_id, version, city, region, capacity
          from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::int[])
               as new (meeting_id, version, city, region, capacity)
         order by meeting_id, version desc
        on conflict (meeting_id) do update
           set version = excluded.version, city = excluded.city, region = excluded.region,
               capacity = excluded.capacity
         where excluded.version > meetings.version
        """,
        [fact.meeting_id for fact in facts],
        [fact.version for fact in facts],
        [fact.city for fact in facts],
        [fact.region for fact in facts],
        [fact.capacity for fact in facts],
    )


async def keep_registrations(
    tx: Tx, *, facts: Sequence[AboutRegistration], state: Literal["confirmed", "cancelled"]
) -> None:
    """Keep the last version of registrations."""
    await tx.execute(
        """
        insert into evaluation.registrations
               (registration_id, version, state, meeting_id, person_id, region, sector)
        select distinct on (registration_id)
               registration_id, version, $1, meeting_id, person_id, region, sector
          from unnest($2::uuid[], $3::bigint[], $4::uuid[], $5::uuid[], $6::text[], $7::text[])
               as new (registration_id, version, meeting_id, person_id, region, sector)
         order by registration_id, version desc
        on conflict (registration_id) do update
           set version = excluded.version, state = excluded.state, meeting_id = excluded.meeting_id,
               person_id = excluded.person_id, region = excluded.region, sector = excluded.sector
         where excluded.version > registrations.version
        """,
        state,
        [fact.registration_id for fact in facts],
        [fact.version for fact in facts],
        [fact.meeting_id for fact in facts],
        [fact.person_id for fact in facts],
        [fact.region for fact in facts],
        [fact.sector for fact in facts],
    )


async def keep_calls(tx: Tx, *, facts: Sequence[AboutCall], state: Literal["open", "closed"]) -> None:
    """Keep the last version of calls, with their rules."""
    await tx.execute(
        """
        insert into evaluation.calls (call_id, version, state, host_region, rules)
        select distinct on (call_id) call_id, version, $1, host_region, rules
          from unnest($2::uuid[], $3::bigint[], $4::text[], $5::json[])
               as new (call_id, version, host_region, rules)
         order by call_id, version desc
        on conflict (call_id) do update
           set version = excluded.version, state = excluded.state, host_region = excluded.host_region,
               rules = excluded.rules
         where excluded.version > calls.version
        """,
        state,
        [fact.call_id for fact in facts],
        [fact.version for fact in facts],
        [fact.host_region for fact in facts],
        [fact.model_dump_json(include=_RULES) for fact in facts],
    )


async def keep_applications(
    tx: Tx,
    *,
    facts: Sequence[AboutApplication],
    state: ApplicationPhase,
) -> None:
    """Keep the last version of applications, with the amount of those that an aid was awarded to."""
    await tx.execute(
        """
        insert into evaluation.applications
               (application_id, version, state, call_id, person_id, region, sector, aid, accepted_at, amount)
        select distinct on (application_id)
               application_id, version, $1, call_id, person_id, region, sector, aid, accepted_at, amount
          from unnest($2::uuid[], $3::bigint[], $4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::numeric[],
                      $9::timestamptz[], $10::numeric[])
               as new (application_id, version, call_id, person_id, region, sector, aid, accepted_at, amount)
         order by application_id, version desc
        on conflict (application_id) do update
           set version = excluded.version, state = excluded.state, call_id = excluded.call_id,
               person_id = excluded.person_id, region = excluded.region, sector = excluded.sector,
               aid = excluded.aid, accepted_at = excluded.accepted_at, amount = excluded.amount
         where excluded.version > applications.version
        """,
        state,
        [fact.application_id for fact in facts],
        [fact.version for fact in facts],
        [fact.call_id for fact in facts],
        [fact.person_id for fact in facts],
        [fact.region for fact in facts],
        [fact.sector for fact in facts],
        [fact.aid for fact in facts],
        [fact.accepted_at for fact in facts],
        [fact.amount if isinstance(fact, AidAwarded) else None for fact in facts],
    )


async def lock_call(tx: Tx, *, call_id: UUID) -> None:
    """Let nobody else touch the panel of a call until the end of the transaction."""
    await tx.execute("select from evaluation.calls where call_id = $1 for update", call_id)


async def lock_calls_of(tx: Tx, *, application_ids: Collection[UUID]) -> set[UUID]:
    """Let nobody else touch the panels of these applications' calls, locked in the order of their ids; which."""
    rows = await tx.fetch(
        """
        select call_id from evaluation.calls
         where call_id in (select call_id from evaluation.applications where application_id = any($1::uuid[]))
         order by call_id for update
        """,
        list(application_ids),
    )
    return {row["call_id"] for row in rows}


async def calls(tx: Tx, *, call_ids: Collection[UUID]) -> dict[UUID, Call]:
    """Calls by id, and whether they are ranked: read once they are locked, not while."""
    rows = await tx.fetch(
        """
        select c.call_id, c.state, c.rules, r.call_id is not null as ranked
          from evaluation.calls c left join evaluation.rankings r using (call_id)
         where c.call_id = any($1::uuid[])
        """,
        list(call_ids),
    )
    return {
        row["call_id"]: Call(
            call_id=row["call_id"],
            state=row["state"],
            rules=CallRules.model_validate_json(row["rules"]),
            ranked=row["ranked"],
        )
        for row in rows
    }


async def count_undecided_applications(tx: Tx, *, call_id: UUID) -> int:
    """How many of a call's applications nobody has ruled on, as far as we have heard."""
    return int(
        await tx.fetchval(
            "select count(*) from evaluation.applications where call_id = $1 and state = 'submitted'", call_id
        )
    )


# Applications with their evaluators, and their reviews in the order they came: a row for each evaluator.
_UNDER_REVIEW = """
    select a.application_id, a.call_id, a.person_id, a.state, a.accepted_at, coalesce(u.version, 0) as version,
           s.evaluator_id, s.state as assignment, r.version as place, r.scores, r.comment, r.total, r.submitted_at
      from evaluation.applications a
      left join evaluation.under_review u using (application_id)
      left join evaluation.assignments s using (call_id, application_id)
      left join evaluation.reviews r using (application_id, evaluator_id)
    """
_IN_ORDER = "order by a.application_id, r.version, s.evaluator_id"


async def under_review(
    tx: Tx, *, application_ids: Collection[UUID], calls: Mapping[UUID, Call]
) -> dict[UUID, UnderReview]:
    """Those of these applications that are to these calls, by id."""
    rows = await tx.fetch(
        f"{_UNDER_REVIEW} where a.application_id = any($1::uuid[]) and a.call_id = any($2::uuid[]) {_IN_ORDER}",
        list(application_ids),
        list(calls),
    )
    return {application.application_id: application for application in _under_review(rows, calls)}


async def eligible_applications(tx: Tx, *, call: Call) -> list[UnderReview]:
    """The applications to a call that are before the panel, in the order of their ids."""
    rows = await tx.fetch(
        f"{_UNDER_REVIEW} where a.call_id = $1 and a.state in ('eligible', 'awarded') {_IN_ORDER}", call.call_id
    )
    return _under_review(rows, {call.call_id: call})


async def add_to_panel(tx: Tx, *, call_id: UUID, evaluator_id: UUID) -> tuple[int, int]:
    """Note that an evaluator is given applications of a call: for the how manieth time, and how many they had."""
    row = await tx.fetchrow(
        """
        insert into evaluation.panel_members as m (call_id, evaluator_id, version) values ($1, $2, 1)
        on conflict (call_id, evaluator_id) do update set version = m.version + 1
        returning version, (select count(*) from evaluation.assignments
                             where call_id = $1 and evaluator_id = $2 and state <> 'conflict') as assigned
        """,
        call_id,
        evaluator_id,
    )
    assert row is not None  # noqa: S101 — an upsert without a condition always returns its row
    return row["version"], row["assigned"]


async def insert_assignments(tx: Tx, *, call_id: UUID, evaluator_id: UUID, application_ids: Collection[UUID]) -> None:
    """Give applications to an evaluator of the panel."""
    await tx.execute(
        """
        insert into evaluation.assignments (application_id, evaluator_id, call_id)
        select application_id, $2, $1 from unnest($3::uuid[]) as new (application_id)
        """,
        call_id,
        evaluator_id,
        list(application_ids),
    )


async def end_assignments(
    tx: Tx, *, state: Literal["reviewed", "conflict"], ended: Collection[tuple[UUID, UUID]]
) -> None:
    """Note that assignments, by application and evaluator, have ended in a review or a conflict of interest."""
    await tx.execute(
        """
        update evaluation.assignments s set state = $1
          from unnest($2::uuid[], $3::uuid[]) as ended (application_id, evaluator_id)
         where s.application_id = ended.application_id and s.evaluator_id = ended.evaluator_id
        """,
        state,
        [application_id for application_id, _ in ended],
        [evaluator_id for _, evaluator_id in ended],
    )


async def insert_reviews(tx: Tx, *, reviews: Sequence[Review]) -> None:
    """Keep reviews."""
    await tx.execute(
        """
        insert into evaluation.reviews (application_id, evaluator_id, version, scores, comment, total, submitted_at)
        select * from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::json[], $5::text[], $6::numeric[],
                             $7::timestamptz[])
        """,
        [review.application_id for review in reviews],
        [review.evaluator_id for review in reviews],
        [review.version for review in reviews],
        [json.dumps({key: str(score) for key, score in review.scores.items()}) for review in reviews],
        [review.comment for review in reviews],
        [review.total for review in reviews],
        [review.submitted_at for review in reviews],
    )


async def note_versions(tx: Tx, *, versions: Mapping[UUID, int]) -> None:
    """Note how often something has happened to applications in the panel."""
    await tx.execute(
        """
        insert into evaluation.under_review (application_id, version)
        select * from unnest($1::uuid[], $2::bigint[])
        on conflict (application_id) do update set version = excluded.version
        """,
        list(versions),
        list(versions.values()),
    )


async def insert_ranking(
    tx: Tx,
    *,
    call_id: UUID,
    ranking: Sequence[RankedApplication],
    third_reviews: Collection[UUID],
    finalised_at: datetime,
) -> None:
    """Keep the order of merit of a call."""
    await tx.execute(
        """
        insert into evaluation.rankings (call_id, ranking, third_reviews, finalised_at) values ($1, $2, $3, $4)
        """,
        call_id,
        json.dumps([place.model_dump(mode="json") for place in ranking]),
        list(third_reviews),
        finalised_at,
    )


async def insert_exchange_rate(tx: Tx, *, rate: RecordExchangeRate, recorded_at: datetime) -> bool:
    """Keep a day's rate; false if that source's rate of that day is there."""
    status = await tx.execute(
        """
        insert into evaluation.exchange_rates (date, source, pen_per_usd, recorded_at) values ($1, $2, $3, $4)
        on conflict do nothing
        """,
        rate.date,
        rate.source,
        rate.pen_per_usd,
        recorded_at,
    )
    return bool(status == "INSERT 0 1")


async def exchange_rate(tx: Tx, *, day: date, source: str) -> Decimal:
    """The rate of a day by a source."""
    value: Decimal = await tx.fetchval(
        "select pen_per_usd from evaluation.exchange_rates where date = $1 and source = $2", day, source
    )
    return value


def _under_review(rows: Sequence[Any], calls: Mapping[UUID, Call]) -> list[UnderReview]:
    groups = groupby(rows, key=lambda row: row["application_id"])
    return [_application(list(group), calls) for _, group in groups]


def _application(rows: Sequence[Any], calls: Mapping[UUID, Call]) -> UnderReview:
    first = rows[0]
    return UnderReview(
        application_id=first["application_id"],
        call=calls[first["call_id"]],
        person_id=first["person_id"],
        state=first["state"],
        accepted_at=first["accepted_at"],
        version=first["version"],
        evaluators={row["evaluator_id"]: row["assignment"] for row in rows if row["assignment"]},
        reviews=tuple(_review(row) for row in rows if row["total"] is not None),
    )


def _review(row: Any) -> Review:
    return Review(
        application_id=row["application_id"],
        evaluator_id=row["evaluator_id"],
        version=row["place"],
        scores={key: Decimal(score) for key, score in json.loads(row["scores"]).items()},
        comment=row["comment"],
        total=row["total"],
        submitted_at=row["submitted_at"],
    )
