"""Fixtures of evaluation's tests: its own role's connections to the provisioned database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from shared.db import Tx
from tests.servers import Installation

TABLES = (
    "meetings",
    "registrations",
    "calls",
    "applications",
    "reviews",
    "assignments",
    "panel_members",
    "under_review",
    "rankings",
    "exchange_rates",
)


@pytest.fixture(scope="session")
async def pool(installation: Installation) -> AsyncIterator[asyncpg.Pool[asyncpg.Record]]:
    """Connections as the service has them."""
    async with asyncpg.create_pool(
        installation.dsn("evaluation"),
        user="evaluation",
        password=installation.secrets.password("evaluation"),
        min_size=0,
        max_size=8,
    ) as pool:
        yield pool


@pytest.fixture
async def tx(pool: asyncpg.Pool[asyncpg.Record]) -> AsyncIterator[Tx]:
    """A transaction that finds nothing heard and nothing decided, and of which nothing stays."""
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            for table in TABLES:
                await connection.execute(f"delete from evaluation.{table}")
            yield connection
        finally:
            await transaction.rollback()
