"""The pool of one service's PostgreSQL role, its transactions, and which errors are an outage rather than a fault.

Not here: SQL (each service's store and queries) and migrations (deploy/provision).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

if TYPE_CHECKING:
    from shared.settings import ServiceSettings

# What a command or a fact is carried out in: a connection inside a transaction.
Tx: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

_OUTAGES = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,  # disk full, out of memory, too many connections
    asyncpg.OperatorInterventionError,  # shutdown, crash recovery, cannot connect now
    asyncpg.TransactionRollbackError,  # serialization failure, deadlock
    asyncpg.LockNotAvailableError,
    asyncpg.PostgresIOError,
    asyncpg.ReadOnlySQLTransactionError,  # a standby, after a failover
    asyncpg.InternalClientError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)


class Retry(Exception):  # noqa: N818 — not an error: the same transaction is simply tried again
    """Another replica decided the same thing at the same time; try again and find it decided."""


def is_outage(error: BaseException) -> bool:
    """Whether trying the same transaction again later may succeed, without anything being wrong with it.

    A server-side statement timeout is no outage: the server is there, and the statement is too slow.
    """
    if isinstance(error, Retry):
        return True
    if isinstance(error, asyncpg.QueryCanceledError):
        return False
    if isinstance(error, asyncpg.InterfaceError):  # "connection is closed", but not a wrong argument
        return not isinstance(error, asyncpg.DataError | asyncpg.UnsupportedClientFeatureError)
    return isinstance(error, _OUTAGES)


class Database:
    """A pool that opens connections when they are needed, so that a service starts while PostgreSQL is away."""

    def __init__(self, settings: ServiceSettings, *, service: str, connections: int = 8) -> None:
        self._dsn = settings.postgres_dsn
        self._password = settings.postgres_password()
        self._service = service
        self._connections = connections
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def open(self) -> None:
        """Prepare the pool; no connection is made yet."""
        self._pool = await asyncpg.create_pool(
            self._dsn,
            user=self._service,
            password=self._password,
            min_size=0,
            max_size=self._connections,
            timeout=5,
            command_timeout=15,
            server_settings={"application_name": f"conecta-{self._service}"},
            reset=_nothing_to_reset,
        )

    async def close(self) -> None:
        """Close every connection, at once if they do not end by themselves."""
        if self._pool is not None:
            try:
                async with asyncio.timeout(5):
                    await self._pool.close()
            except TimeoutError:
                self._pool.terminate()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        """A transaction on a connection of the pool: committed at the end, rolled back by an exception."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Tx]:
        """A connection of the pool, for reading."""
        if self._pool is None:
            msg = "the pool is not open"
            raise RuntimeError(msg)
        async with self._pool.acquire(timeout=10) as connection:
            yield connection

    async def dedicated(self) -> asyncpg.Connection[asyncpg.Record]:
        """A connection outside the pool, for LISTEN and advisory locks; its holder closes it."""
        return await asyncpg.connect(
            self._dsn,
            user=self._service,
            password=self._password,
            timeout=5,
            command_timeout=15,
            server_settings={"application_name": f"conecta-{self._service}-relay"},
        )

    async def reachable(self) -> bool:
        """Whether a statement gets an answer now."""
        try:
            async with asyncio.timeout(3), self.connection() as connection:
                await connection.fetchval("select 1")
        except Exception as error:
            if is_outage(error) or isinstance(error, asyncpg.InvalidAuthorizationSpecificationError):
                return False
            raise
        return True


async def _nothing_to_reset(_: object) -> None:
    """What is left of asyncpg's reset (an open transaction is still rolled back): one round trip less per transaction.

    Nobody changes a session of the pool: LISTEN and advisory locks have a connection of their own (`dedicated`).
    """
