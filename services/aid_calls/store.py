"""Write-side SQL of aid_calls: calls and applications, one statement per function."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from services.aid_calls.domain import Application, Call, Result, Ruling
from shared.contracts.aid_calls import (
    AidAwarded,
    AidReserved,
    ApplicationRuledEligible,
    CallRules,
    CreateCall,
    SubmitApplication,
)
from shared.contracts.people import Sector
from shared.db import Retry, Tx

_RULES = set(CallRules.model_fields)


async def taken_call_fields(tx: Tx, *, call_id: UUID, code: str) -> list[str]:
    """Which of `call_id` and `code` another call has."""
    row = await tx.fetchrow(
        """
        select exists (select from aid_calls.calls where call_id = $1) as call_id,
               exists (select from aid_calls.calls where code = $2) as code
        """,
        call_id,
        code,
    )
    return [name for name, taken in row.items() if taken] if row else []


async def insert_call(tx: Tx, *, call: CreateCall) -> None:
    """Enter a call as a draft; raises Retry if another replica has just entered one with its id or code."""
    status = await tx.execute(
        """
        insert into aid_calls.calls (call_id, code, opens_at, closes_at, host_region, fund, rules)
        values ($1, $2, $3, $4, $5, $6, $7)
        on conflict do nothing
        """,
        call.call_id,
        call.code,
        call.opens_at,
        call.closes_at,
        call.host_region,
        call.fund,
        call.model_dump_json(include=_RULES),
    )
    if status != "INSERT 0 1":
        raise Retry


async def calls(tx: Tx, *, call_ids: Collection[UUID]) -> dict[UUID, Call]:
    """Calls by id."""
    rows = await tx.fetch(
        "select call_id, state, version, rules from aid_calls.calls where call_id = any($1::uuid[])",
        list(call_ids),
    )
    return {row["call_id"]: _call(row) for row in rows}


async def calls_unallocated(tx: Tx, *, call_ids: Collection[UUID]) -> dict[UUID, Call]:
    """Calls by id, none of whose funds is allocated by anybody else until the end of the transaction."""
    rows = await tx.fetch(
        """
        select call_id, state, version, rules from aid_calls.calls
         where call_id = any($1::uuid[]) order by call_id for key share
        """,
        list(call_ids),
    )
    return {row["call_id"]: _call(row) for row in rows}


async def call_for_update(tx: Tx, *, call_id: UUID) -> Call | None:
    """A call, locked until the end of the transaction: no application comes in, and no other allocation is made."""
    row = await tx.fetchrow(
        "select call_id, state, version, rules from aid_calls.calls where call_id = $1 for update", call_id
    )
    return _call(row) if row else None


async def open_due_calls(tx: Tx, *, now: datetime) -> list[Call]:
    """Open drafts whose `opens_at` has come; those that another replica is opening are skipped."""
    rows = await tx.fetch(
        """
        with due as (
            select call_id from aid_calls.calls
             where state = 'draft' and opens_at <= $1
             order by call_id
               for no key update skip locked
        )
        update aid_calls.calls c set state = 'open', version = c.version + 1
          from due where c.call_id = due.call_id
        returning c.call_id, c.state, c.version, c.rules
        """,
        now,
    )
    return [_call(row) for row in rows]


async def close_due_calls(tx: Tx, *, now: datetime) -> list[Call]:
    """Close open calls whose `closes_at` is over; those that another replica is closing are skipped."""
    rows = await tx.fetch(
        """
        with due as (
            select call_id from aid_calls.calls
             where state = 'open' and closes_at < $1
             order by call_id
               for no key update skip locked
        )
        update aid_calls.calls c set state = 'closed', version = c.version + 1
          from due where c.call_id = due.call_id
        returning c.call_id, c.state, c.version, c.rules
        """,
        now,
    )
    return [_call(row) for row in rows]


async def insert_applications(
    tx: Tx, *, applications: Sequence[tuple[Application, SubmitApplication]]
) -> list[tuple[UUID, UUID, UUID]]:
    """Enter applications, the earliest of each person; the keys of those whose person had none for that call.

    One person after the other, so that replicas which enter the same people never wait for each other.
    """
    if not applications:
        return []
    rows = await tx.fetch(
        """
        insert into aid_calls.applications
               (application_id, call_id, person_id, country, region, birth, sector, requested, aid,
                project, motivation, documents, accepted_at)
        select application_id, call_id, person_id, country, region, birth, sector, requested, aid,
               project, motivation, documents, accepted_at
          from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::date[], $7::text[],
                      $8::numeric[], $9::numeric[], $10::text[], $11::text[], $12::json[], $13::timestamptz[])
               with ordinality as new
               (application_id, call_id, person_id, country, region, birth, sector, requested, aid,
                project, motivation, documents, accepted_at, place)
         order by person_id, call_id, accepted_at, place
        on conflict do nothing
        returning application_id, call_id, person_id
        """,
        [one.application_id for one, _ in applications],
        [one.call_id for one, _ in applications],
        [one.person_id for one, _ in applications],
        [one.country for one, _ in applications],
        [one.region for one, _ in applications],
        [one.birth for one, _ in applications],
        [one.sector for one, _ in applications],
        [one.requested for one, _ in applications],
        [one.aid for one, _ in applications],
        [command.project for _, command in applications],
        [command.motivation for _, command in applications],
        [json.dumps([document.model_dump() for document in command.documents]) for _, command in applications],
        [one.accepted_at for one, _ in applications],
    )
    return [(row["application_id"], row["call_id"], row["person_id"]) for row in rows]


async def applicants(tx: Tx, *, pairs: Collection[tuple[UUID, UUID]]) -> set[tuple[UUID, UUID]]:
    """Which of these (call, person) have an application that is not withdrawn."""
    rows = await tx.fetch(
        """
        select call_id, person_id
          from unnest($1::uuid[], $2::uuid[]) as asked (call_id, person_id)
          join aid_calls.applications using (call_id, person_id)
         where state <> 'withdrawn'
        """,
        [call_id for call_id, _ in pairs],
        [person_id for _, person_id in pairs],
    )
    return {(row["call_id"], row["person_id"]) for row in rows}


async def application_for_update(tx: Tx, *, application_id: UUID) -> Application | None:
    """An application, locked until the end of the transaction."""
    row = await tx.fetchrow("select * from aid_calls.applications where application_id = $1 for update", application_id)
    return _application(row) if row else None


async def withdraw_application(tx: Tx, *, application_id: UUID) -> None:
    """Note that an applicant withdrew."""
    await tx.execute(
        """
        update aid_calls.applications set state = 'withdrawn', version = version + 1 where application_id = $1
        """,
        application_id,
    )


async def undecided_applications(tx: Tx, *, limit: int) -> list[Application]:
    """Applications to closed calls that nobody has ruled on, locked; those being ruled on are skipped."""
    rows = await tx.fetch(
        """
        select a.*
          from aid_calls.calls c join aid_calls.applications a using (call_id)
         where c.state = 'closed' and a.state = 'submitted'
         order by a.call_id, a.application_id
         limit $1
           for update of a skip locked
        """,
        limit,
    )
    return [_application(row) for row in rows]


async def undecided_applications_of(tx: Tx, *, call_id: UUID) -> list[Application]:
    """Applications to one call that nobody has ruled on, locked; waits for those being ruled on."""
    rows = await tx.fetch(
        """
        select * from aid_calls.applications
         where call_id = $1 and state = 'submitted' order by application_id for update
        """,
        call_id,
    )
    return [_application(row) for row in rows]


async def note_rulings(tx: Tx, *, rulings: Sequence[Ruling]) -> None:
    """Note rulings with every reason."""
    await tx.execute(
        """
        update aid_calls.applications a
           set state = new.state, version = new.version, reasons = string_to_array(new.reasons, ' ')
          from unnest($1::uuid[], $2::text[], $3::int[], $4::text[]) as new (application_id, state, version, reasons)
         where a.application_id = new.application_id
        """,
        [one.application_id for one in rulings],
        ["eligible" if isinstance(one, ApplicationRuledEligible) else "ineligible" for one in rulings],
        [one.version for one in rulings],
        ["" if isinstance(one, ApplicationRuledEligible) else " ".join(one.reasons) for one in rulings],
    )


async def eligible_applications_for_update(tx: Tx, *, call_id: UUID) -> dict[UUID, Application]:
    """The eligible applications of a call by id, locked in the order of their ids."""
    rows = await tx.fetch(
        """
        select * from aid_calls.applications
         where call_id = $1 and state = 'eligible' order by application_id for update
        """,
        call_id,
    )
    return {row["application_id"]: _application(row) for row in rows}


async def note_results(tx: Tx, *, results: Sequence[Result]) -> None:
    """Note what the allocation means for each application."""
    awards = [one if isinstance(one, AidAwarded) else None for one in results]
    await tx.execute(
        """
        update aid_calls.applications a
           set state = new.state, version = new.version, rank = new.rank, total = new.total,
               amount = new.amount, money = new.money, reserve_position = new.reserve_position
          from unnest($1::uuid[], $2::text[], $3::int[], $4::int[], $5::numeric[], $6::numeric[], $7::text[], $8::int[])
               as new (application_id, state, version, rank, total, amount, money, reserve_position)
         where a.application_id = new.application_id
        """,
        [one.application_id for one in results],
        [_state(one) for one in results],
        [one.version for one in results],
        [one.rank for one in results],
        [one.total for one in results],
        [award.amount if award else None for award in awards],
        [award.money if award else None for award in awards],
        [one.position if isinstance(one, AidReserved) else None for one in results],
    )


async def publish_results(tx: Tx, *, call_id: UUID, total_awarded: Decimal) -> None:
    """Note that a call's fund has been allocated, and how much of it."""
    await tx.execute(
        """
        update aid_calls.calls
           set state = 'results-published', version = version + 1, total_awarded = $2
         where call_id = $1
        """,
        call_id,
        total_awarded,
    )


def _state(result: Result) -> str:
    if isinstance(result, AidAwarded):
        return "awarded"
    return "reserve" if isinstance(result, AidReserved) else "not-selected"


def _call(row: Any) -> Call:
    return Call(
        call_id=row["call_id"],
        state=row["state"],
        version=row["version"],
        rules=CallRules.model_validate_json(row["rules"]),
    )


def _application(row: Any) -> Application:
    return Application(
        application_id=row["application_id"],
        call_id=row["call_id"],
        person_id=row["person_id"],
        country=row["country"],
        region=row["region"],
        birth=row["birth"],
        sector=Sector(row["sector"]),
        requested=row["requested"],
        aid=row["aid"],
        accepted_at=row["accepted_at"],
        documents=frozenset(document["kind"] for document in json.loads(row["documents"])),
        state=row["state"],
        version=row["version"],
    )
