"""What operators' tools read in PostgreSQL, with the rights of the service whose schema it is; all their SQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import NamedTuple

import asyncpg

from deploy.provision.administration import DATABASE, Connection
from deploy.provision.secrets import Secrets, SecretsMissing
from shared.settings import OperatorSettings


class DatabaseAway(Exception):  # noqa: N818 — a state
    """The database, or a service's part of it, gives no answer; the message says why."""


class Waiting(NamedTuple):
    """How many wait, and since when the oldest does."""

    number: int
    oldest: datetime | None


@asynccontextmanager
async def as_service(settings: OperatorSettings, service: str) -> AsyncIterator[Connection]:
    """A connection with a service's rights; raises DatabaseAway, also for what goes wrong on it."""
    try:
        connection = await asyncpg.connect(
            settings.postgres_dsn,
            user=service,
            password=Secrets(settings.secrets_dir).password(service),
            database=DATABASE,
            timeout=5,
            server_settings={"application_name": f"conecta-operator-{service}"},
        )
        try:
            yield connection
        finally:
            await connection.close(timeout=5)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError, SecretsMissing) as error:
        raise DatabaseAway(str(error) or type(error).__name__) from error


async def unpublished(connection: Connection, service: str) -> Waiting:
    """Facts that are not on the bus yet."""
    return _waiting(await connection.fetchrow(_UNPUBLISHED.format(schema=service)))


async def mails_waiting(connection: Connection) -> Waiting:
    """Mails that are due, or held by a mailer (notifications' connection)."""
    return _waiting(await connection.fetchrow(_MAILS))


async def now(connection: Connection) -> datetime:
    """The server's clock."""
    found: datetime = await connection.fetchval("select clock_timestamp()")
    return found


async def version(connection: Connection) -> str:
    """The server's version."""
    return str(await connection.fetchval("select current_setting('server_version')"))


async def lead(settings: OperatorSettings, connection: Connection, service: str) -> None:
    """Take the relay's place, as long as this connection lives: ends its session, and is first in the queue.

    The relay takes that for an outage and waits for its turn; the facts of meanwhile wait in the journal.
    """
    # A lock that nobody gives up within this time is held by something else than a relay.
    await connection.execute("set lock_timeout = '20s'; set statement_timeout = '30s'")
    mine = asyncio.create_task(connection.execute(_LEAD, f"conecta-relay-{service}"))
    try:
        async with as_service(settings, service) as other:
            while not mine.done():
                await other.execute(_END_LEADER, f"conecta-relay-{service}")
                await asyncio.wait([mine], timeout=0.2)
        await mine
    finally:
        mine.cancel()


async def first_position(connection: Connection, service: str, moment: datetime) -> int:
    """The first position that was noted at or after a moment; past the end if there is none."""
    return int(await connection.fetchval(_SINCE.format(schema=service), moment))


async def published(connection: Connection, service: str, *, after: int, limit: int) -> list[asyncpg.Record]:
    """Rows of the journal after a position, in order, without those that the relay still has to publish."""
    rows: list[asyncpg.Record] = await connection.fetch(_PUBLISHED.format(schema=service), after, limit)
    return rows


async def count(connection: Connection, service: str, *, after: int) -> int:
    """How many rows there are after a position."""
    return int(await connection.fetchval(_COUNT.format(schema=service), after))


def _waiting(row: asyncpg.Record | None) -> Waiting:
    return Waiting(row[0], row[1]) if row else Waiting(0, None)


# How many facts are not published yet, and when the oldest was noted.
_UNPUBLISHED = "select count(*), min(recorded_at) from {schema}.unpublished join {schema}.journal using (position)"
# How many mails are due or being sent, and since when the oldest is due.
_MAILS = """
    select count(*), min(due_at) from notifications.deliveries
     where (due_at is not null and due_at <= now()) or state = 'sending'
    """
# The relay's own lock (`shared.relay`): held as long as the session lives.
_LEAD = "select pg_advisory_lock(hashtext($1))"
# End the session that holds it; a role may end its own.
_END_LEADER = """
    select pg_terminate_backend(pid) from pg_locks
     where locktype = 'advisory' and granted and objsubid = 1 and pid <> pg_backend_pid()
       and database = (select oid from pg_database where datname = current_database())
       and ((classid::bigint << 32) | objid::bigint) = hashtext($1)::bigint
       and pid in (select pid from pg_stat_activity where application_name not like 'conecta-operator-%')
    """
# The first position that was noted since a moment, or one past the last.
_SINCE = """
    select coalesce(
        (select min(position) from {schema}.journal where recorded_at >= $1),
        (select coalesce(max(position), 0) + 1 from {schema}.journal))
    """
# What has been published once, after a position.
_PUBLISHED = """
    select position, fact_id, type, subject, thing, version, body, traceparent, recorded_at
      from {schema}.journal j
     where position > $1 and not exists (select from {schema}.unpublished u where u.position = j.position)
     order by position limit $2
    """
# How many there are after a position.
_COUNT = "select count(*) from {schema}.journal where position > $1"
