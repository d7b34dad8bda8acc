"""Write-side SQL of notifications: its own copy of people, meetings and calls, and the mails owed."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from services.notifications.domain import LEASE, Mail, Notice, Result, State, Template
from shared.contracts.aid_calls import CallOpened
from shared.contracts.registration import MeetingPublished, Person
from shared.db import Tx

# The class of the advisory locks that say which mailers live: held by each one's own session, so never left behind.
_MAILERS = 1_668_246_894


@dataclass(frozen=True, slots=True)
class Delivery:
    """A mail as the team may ask for it again. `region` is of its meeting or call; `over` when nothing is tried."""

    delivery_id: UUID
    state: State
    over: bool
    region: str | None


@dataclass(frozen=True, slots=True)
class Settled:
    """A mail that was sent or failed just now, with the version that this made."""

    delivery_id: UUID
    person_id: UUID
    template: str
    fact_id: UUID
    state: State
    reason: str | None
    version: int


async def upsert_people(tx: Tx, *, people: Sequence[Person]) -> None:
    """Keep the newest record of each person; a new address is not one that was refused."""
    latest = _latest(people)
    await tx.execute(
        """
        insert into notifications.people as p (person_id, version, given, family, email, language, erased)
        select * from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bool[])
        on conflict (person_id) do update
           set version = excluded.version, given = excluded.given, family = excluded.family,
               email = excluded.email, language = excluded.language, erased = excluded.erased,
               refused = case when excluded.email = p.email then p.refused end
         where excluded.version > p.version
        """,
        [one.person_id for one in latest],
        [one.version for one in latest],
        [None if one.erased else one.given for one in latest],
        [None if one.erased else one.family for one in latest],
        [None if one.erased else one.email for one in latest],
        [one.language.value for one in latest],
        [one.erased for one in latest],
    )


async def upsert_meetings(tx: Tx, *, meetings: Sequence[MeetingPublished]) -> None:
    """Keep the newest state of each meeting."""
    latest = _latest(meetings)
    await tx.execute(
        """
        insert into notifications.meetings as m (meeting_id, version, title, region, city, venue, starts_at, ends_at)
        select * from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[],
                             $7::timestamptz[], $8::timestamptz[])
        on conflict (meeting_id) do update
           set version = excluded.version, title = excluded.title, region = excluded.region, city = excluded.city,
               venue = excluded.venue, starts_at = excluded.starts_at, ends_at = excluded.ends_at
         where excluded.version > m.version
        """,
        [one.meeting_id for one in latest],
        [one.version for one in latest],
        [one.title for one in latest],
        [one.region for one in latest],
        [one.city for one in latest],
        [one.venue for one in latest],
        [one.starts_at for one in latest],
        [one.ends_at for one in latest],
    )


async def upsert_calls(tx: Tx, *, calls: Sequence[CallOpened]) -> None:
    """Keep the newest state of each call."""
    latest = _latest(calls)
    await tx.execute(
        """
        insert into notifications.calls as c (call_id, version, code, title, region, city, closes_at, minimum_total)
        select * from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[],
                             $7::timestamptz[], $8::numeric[])
        on conflict (call_id) do update
           set version = excluded.version, code = excluded.code, title = excluded.title, region = excluded.region,
               city = excluded.city, closes_at = excluded.closes_at, minimum_total = excluded.minimum_total
         where excluded.version > c.version
        """,
        [one.call_id for one in latest],
        [one.version for one in latest],
        [one.code for one in latest],
        [one.title for one in latest],
        [one.host_region for one in latest],
        [one.host_city for one in latest],
        [one.closes_at for one in latest],
        [one.minimum_total for one in latest],
    )


async def insert_deliveries(tx: Tx, *, notices: Sequence[Notice]) -> None:
    """Owe mails, in order; one per person, fact and template however often it is asked for."""
    await tx.execute(
        """
        insert into notifications.deliveries
               (delivery_id, fact_id, person_id, template, meeting_id, call_id, params)
        select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::uuid[], $6::uuid[], $7::json[])
        on conflict (fact_id, person_id, template) do nothing
        """,
        [uuid7() for _ in notices],
        [one.fact_id for one in notices],
        [one.person_id for one in notices],
        [one.template.value for one in notices],
        [one.meeting_id for one in notices],
        [one.call_id for one in notices],
        [json.dumps(one.params, separators=(",", ":")) for one in notices],
    )


async def delivery_for_update(tx: Tx, *, delivery_id: UUID) -> Delivery | None:
    """A mail, locked until the end of the transaction."""
    row = await tx.fetchrow(
        """
        select d.delivery_id, d.state, d.due_at is null as over, coalesce(m.region, c.region) as region
          from notifications.deliveries d
          left join notifications.meetings m using (meeting_id)
          left join notifications.calls c using (call_id)
         where d.delivery_id = $1
           for update of d
        """,
        delivery_id,
    )
    return Delivery(row["delivery_id"], State(row["state"]), row["over"], row["region"]) if row else None


async def owe_again(tx: Tx, *, delivery_id: UUID) -> None:
    """Owe a mail as if it had not been tried, and let its person's address count as good again."""
    await tx.execute(
        """
        with owed as (
            update notifications.deliveries
               set state = 'owed', due_at = now(), attempts = 0, losses = 0, reason = null
             where delivery_id = $1
            returning person_id
        )
        update notifications.people p set refused = null from owed where p.person_id = owed.person_id
        """,
        delivery_id,
    )


async def live(session: Tx, *, mailer: int) -> bool:
    """Say that a mailer of this number lives, as long as the session does; false if there is one already."""
    return bool(await session.fetchval("select pg_try_advisory_lock($1, $2)", _MAILERS, mailer))


async def free_abandoned(tx: Tx, *, mailer: int, known: Collection[UUID]) -> int:
    """Owe again what is held by mailers that do not live any more; how many mails that were.

    `known` are those that the caller holds; what it is said to hold besides was claimed without its learning of it,
    since the connection was lost at that moment.
    """
    status = await tx.execute(
        """
        update notifications.deliveries d
           set state = 'owed', due_at = now(), mailer = null
         where d.state = 'sending' and d.delivery_id <> all($2::uuid[])
           and (d.mailer = $3 or not exists (
               select from pg_locks l
                where l.locktype = 'advisory' and l.classid = $1::int::oid and l.objid = d.mailer::oid
                  and l.objsubid = 2
                  and l.database = (select oid from pg_database where datname = current_database())))
        """,
        _MAILERS,
        list(known),
        mailer,
    )
    return int(status.removeprefix("UPDATE "))


async def claim(tx: Tx, *, mailer: int, limit: int) -> list[Mail]:
    """Take mails that are due and can be written, oldest first, for the length of a lease.

    Those whose person, meeting or call has not been heard of wait, in nobody's way.
    """
    rows = await tx.fetch(
        """
        with due as (
            select d.delivery_id, d.state as was
              from notifications.deliveries d
             where d.due_at <= now()
               and exists (select from notifications.people p where p.person_id = d.person_id)
               and (d.meeting_id is null
                    or exists (select from notifications.meetings m where m.meeting_id = d.meeting_id))
               and (d.call_id is null or exists (select from notifications.calls c where c.call_id = d.call_id))
             order by d.due_at, d.delivery_id
             limit $2
               for update of d skip locked
        ), taken as (
            update notifications.deliveries d
               set state = 'sending', due_at = now() + $3, mailer = $1
              from due
             where d.delivery_id = due.delivery_id
            returning d.*, due.was
        )
        select t.delivery_id, t.fact_id, t.person_id, t.template, t.params, t.was, t.attempts, t.losses,
               p.given, p.family, p.email, p.language, p.refused,
               coalesce(m.title, c.title) as title, coalesce(m.city, c.city) as city,
               m.venue, m.starts_at, m.ends_at, c.code, c.closes_at, c.minimum_total
          from taken t
          join notifications.people p using (person_id)
          left join notifications.meetings m using (meeting_id)
          left join notifications.calls c using (call_id)
         order by t.delivery_id
        """,
        mailer,
        limit,
        LEASE,
    )
    return [_mail(row, mailer) for row in rows]


async def note_results(tx: Tx, *, results: Sequence[Result]) -> list[Settled]:
    """Note what became of mails; those that this settled.

    What another mailer has taken over meanwhile is its own, except that what is sent stays sent.
    """
    rows = await tx.fetch(
        """
        update notifications.deliveries d
           set state = new.state, reason = new.reason, due_at = now() + new.due_in, mailer = null,
               attempts = new.attempts, losses = new.losses,
               version = d.version + (new.state in ('sent', 'failed'))::int
          from unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::interval[], $6::int[], $7::int[])
               as new (delivery_id, mailer, state, reason, due_in, attempts, losses)
         where d.delivery_id = new.delivery_id
           and (d.mailer = new.mailer or (new.state = 'sent' and d.state <> 'sent'))
        returning d.delivery_id, d.person_id, d.template, d.fact_id, d.state, d.reason, d.version
        """,
        [one.mail.delivery_id for one in results],
        [one.mail.mailer for one in results],
        [one.state.value for one in results],
        [one.reason for one in results],
        [one.due_in for one in results],
        [one.attempts for one in results],
        [one.losses for one in results],
    )
    return [Settled(**{**row, "state": State(row["state"])}) for row in rows if row["state"] in {"sent", "failed"}]


async def suppress_addresses(tx: Tx, *, results: Sequence[Result]) -> None:
    """Try no mail any more at addresses that were refused for good, unless they have changed meanwhile."""
    await tx.execute(
        """
        update notifications.people p set refused = new.reason
          from unnest($1::uuid[], $2::text[], $3::text[]) as new (person_id, email, reason)
         where p.person_id = new.person_id and p.email = new.email
        """,
        [one.mail.person_id for one in results],
        [one.mail.address for one in results],
        [one.reason for one in results],
    )


def _latest(versions: Sequence[Any]) -> list[Any]:
    """The newest version of each thing, in the order of ids, which is the order in which rows are locked."""
    latest = {one.thing(): one for one in sorted(versions, key=lambda one: one.version)}
    return [latest[thing] for thing in sorted(latest)]


def _mail(row: Any, mailer: int) -> Mail:
    params = json.loads(row["params"])
    place = f"{row['venue']}, {row['city']}" if row["venue"] else row["city"]
    known = ("title", "city", "starts_at", "ends_at", "code", "closes_at", "minimum_total")
    return Mail(
        delivery_id=row["delivery_id"],
        fact_id=row["fact_id"],
        person_id=row["person_id"],
        template=Template(row["template"]),
        language=row["language"],
        given=row["given"] or "",
        family=row["family"] or "",
        address=row["email"],
        refused=row["refused"],
        values={**{name: row[name] for name in known}, "given": row["given"], "place": place, **params},
        mailer=mailer,
        was=State(row["was"]),
        attempts=row["attempts"],
        losses=row["losses"],
    )
