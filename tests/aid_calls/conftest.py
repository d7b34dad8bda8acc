"""Fixtures of aid_calls' tests: its own role's connections to the provisioned database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg
import pytest

from shared.db import Tx
from tests.servers import Installation

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


@pytest.fixture(scope="session")
async def pool(installation: Installation) -> AsyncIterator[Pool]:
    """Connections as the service has them."""
    async with asyncpg.create_pool(
        installation.dsn("aid_calls"),
        user="aid_calls",
        password=installation.secrets.password("aid_calls"),
        min_size=0,
        max_size=12,
    ) as pool:
        yield pool


@asynccontextmanager
async def undone(pool: Pool) -> AsyncIterator[Tx]:
    """A transaction that finds no call and no application, and of which nothing stays."""
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            for table in ("applications", "calls"):
                await connection.execute(f"delete from aid_calls.{table}")
            yield connection
        finally:
            await transaction.rollback()


@pytest.fixture
async def tx(pool: Pool) -> AsyncIterator[Tx]:
    """A transaction of one test, as `undone`."""
    async with undone(pool) as transaction:
        yield transaction
