"""Fixtures of notifications' tests: its own role's connections, a mail server that can be told to misbehave."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from shared.db import Database, Tx
from tests.notifications.post_office import PostOffice
from tests.servers import Installation

TABLES = ("deliveries", "people", "meetings", "calls", "unpublished")


@pytest.fixture(scope="session")
async def database(installation: Installation) -> AsyncIterator[Database]:
    """Connections as the service has them."""
    database = Database(installation.service_settings("notifications"), service="notifications")
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def tx(database: Database) -> AsyncIterator[Tx]:
    """A transaction that finds nobody and nothing owed, and of which nothing stays."""
    async with database.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            await empty(connection)
            yield connection
        finally:
            await transaction.rollback()


@pytest.fixture
async def emptied(database: Database) -> None:
    """Nobody known and nothing owed, for tests that commit."""
    async with database.transaction() as tx:
        await empty(tx)


async def empty(tx: Tx) -> None:
    """Forget everybody and everything, but for the journal, which the service cannot."""
    for table in TABLES:
        await tx.execute(f"delete from notifications.{table}")


@pytest.fixture
async def post_office() -> AsyncIterator[PostOffice]:
    """A real SMTP server."""
    office = PostOffice()
    await office.open()
    yield office
    await office.close()
