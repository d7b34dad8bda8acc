"""A consumer of aid_calls' commands in this process, on real servers, with handlers that a test brings along."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import nats
import pytest
from nats.aio.client import Client as Bus

from shared.client import Client, connected
from shared.db import Database
from shared.identity import Verifier
from shared.journal import Journal
from shared.messaging.bookkeeping import Bookkeeping
from shared.messaging.bus import Publisher, connect_options
from shared.messaging.commands import CommandWork
from shared.messaging.consumer import Consumer, Patience
from shared.messaging.decisions import CommandTable
from shared.settings import BusSettings
from tests.servers import Installation

SERVICE = "aid_calls"


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What a test of the foundation works with."""

    installation: Installation
    bus: Bus
    publisher: Publisher
    database: Database
    journal: Journal
    bookkeeping: Bookkeeping
    client: Client

    def work(self, table: CommandTable) -> CommandWork:
        """Commands carried out by these handlers."""
        verifier = Verifier(self.installation.secrets.identity_keys_file)
        return CommandWork(
            service=SERVICE,
            table=table,
            verifier=verifier,
            journal=self.journal,
            bookkeeping=self.bookkeeping,
        )

    @asynccontextmanager
    async def consuming(self, table: CommandTable, *, patience: Patience | None = None) -> AsyncIterator[Consumer]:
        """A running consumer with these handlers; stopped gracefully at the end."""
        consumer = Consumer(
            service=SERVICE,
            stream="COMMANDS",
            batch=64,
            client=self.bus,
            publisher=self.publisher,
            database=self.database,
            bookkeeping=self.bookkeeping,
            work=self.work(table),
            news=asyncio.Event(),
            patience=patience,
        )
        task = asyncio.create_task(consumer.run())
        try:
            yield consumer
        finally:
            consumer.stop()
            await asyncio.wait_for(task, 30)


async def connect(settings: BusSettings, user: str) -> Bus:
    """A connection as one user of the bus."""
    return await nats.connect(**connect_options(settings, user=user), nkeys_seed_str=settings.seed())


@pytest.fixture(scope="session")
async def bench(installation: Installation) -> AsyncIterator[Bench]:
    """Connections of aid_calls and of a client."""
    settings = installation.service_settings(SERVICE)
    bus = await connect(settings, SERVICE)
    publisher = Publisher(bus)
    await publisher.start()
    database = Database(settings, service=SERVICE)
    await database.open()
    async with connected(installation.client_settings()) as client:
        yield Bench(
            installation=installation,
            bus=bus,
            publisher=publisher,
            database=database,
            journal=Journal(SERVICE),
            bookkeeping=Bookkeeping(SERVICE),
            client=client,
        )
    await database.close()
    await bus.close()
