"""What operators' tools read in PostgreSQL, with the rights of the service whose schema it is; all their SQL."""

from __future__ import annotations

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


def _waiting(row: asyncpg.Record | None) -> Waiting:
    return Waiting(row[0], row[1]) if row else Waiting(0, None)


# How many facts are not published yet, and when the oldest was noted.
_UNPUBLISHED = "select count(*), min(recorded_at) from {schema}.unpublished join {schema}.journal using (position)"
# How many mails are due or being sent, and since when the oldest is due.
_MAILS = """
    select count(*), min(due_at) from notifications.deliveries
     where (due_at is not null and due_at <= now()) or state = 'sending'
    """
