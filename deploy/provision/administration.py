"""PostgreSQL as its superuser: waits for the server, and lets one provisioning at a time work on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import TypeAlias
from urllib.parse import urlsplit

import asyncpg

from shared.settings import ProvisionSettings

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

DATABASE = "conecta"
MAINTENANCE = "postgres"
_TURN = "select pg_advisory_lock(hashtext('conecta-provision'))"
_TURN_PATIENCE = "5min"
_PAUSE = 0.25
# A server that starts, or does not listen yet, or has no place for one more.
_NOT_YET = (
    OSError,
    TimeoutError,
    asyncpg.CannotConnectNowError,
    asyncpg.PostgresConnectionError,
    asyncpg.TooManyConnectionsError,
)


class DatabaseError(Exception):
    """The database cannot be provisioned; the message says why."""


def superuser(settings: ProvisionSettings) -> str:
    """The superuser's name, which the DSN may leave out."""
    return urlsplit(settings.postgres_dsn).username or "postgres"


@asynccontextmanager
async def connected(settings: ProvisionSettings, database: str, *, patience: float) -> AsyncIterator[Connection]:
    """The superuser's connection to a database, once the server answers; raises DatabaseError."""
    connection = await _connect(settings, database, deadline=monotonic() + patience)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def turn(settings: ProvisionSettings, *, patience: float) -> AsyncIterator[Connection]:
    """A connection to the maintenance database that holds the lock; others wait, and then find all done."""
    async with connected(settings, MAINTENANCE, patience=patience) as connection:
        await connection.execute(f"set lock_timeout = '{_TURN_PATIENCE}'")
        try:
            await connection.execute(_TURN)
        except asyncpg.LockNotAvailableError as error:
            raise DatabaseError(f"another provisioning has been at work for {_TURN_PATIENCE}") from error
        yield connection


async def _connect(settings: ProvisionSettings, database: str, *, deadline: float) -> Connection:
    while True:
        try:
            return await asyncpg.connect(
                settings.postgres_dsn,
                user=superuser(settings),
                password=settings.postgres_password(),
                database=database,
                timeout=5,
                server_settings={"application_name": "conecta-provision"},
            )
        except _NOT_YET as error:
            if monotonic() > deadline:
                raise DatabaseError(f"PostgreSQL does not answer: {str(error) or type(error).__name__}") from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise DatabaseError(f"PostgreSQL refuses its superuser: {error}") from error
        await asyncio.sleep(_PAUSE)
