"""Servers of these tests' own, which they may damage, and connections to them as anybody."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import nats
import pytest
from nats.aio.client import Client

from deploy.provision import provision
from deploy.provision.administration import DATABASE, Connection
from deploy.provision.report import Finding, State
from shared.messaging.bus import connect_options
from shared.settings import BusSettings
from tests.servers import Installation, installed


class Bus:
    """A connection to NATS, and what the server refused on it."""

    def __init__(self, client: Client, refusals: list[str]) -> None:
        self.client = client
        self._refusals = refusals

    async def settled(self) -> None:
        """Return when the server has seen everything sent so far.

        Twice, because nats-py 2.16 writes the PING of a flush before what is still pending.
        """
        for _ in range(2):
            await self.client.flush(timeout=5)

    async def refused(self) -> list[str]:
        """What was refused since the last time, after the server has seen everything sent so far."""
        await self.settled()
        refusals, self._refusals[:] = [*self._refusals], []
        return refusals


Connect = Callable[[str], Awaitable[Bus]]
LogIn = Callable[..., Awaitable[Connection]]


@pytest.fixture(scope="session")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """PostgreSQL and NATS, provisioned."""
    async with installed(tmp_path_factory.mktemp("own-servers")) as installation:
        yield installation


@pytest.fixture
async def connect(servers: Installation) -> AsyncIterator[Connect]:
    """Connects to NATS as one of its users."""
    async with AsyncExitStack() as stack:

        async def connected(user: str) -> Bus:
            return await stack.enter_async_context(_bus(servers, user))

        yield connected


@pytest.fixture
async def log_in(servers: Installation) -> AsyncIterator[LogIn]:
    """Logs in to PostgreSQL as one of its roles."""
    async with AsyncExitStack() as stack:

        async def logged_in(role: str, *, password: str | None = None) -> Connection:
            dsn, secret = servers.dsn(role, DATABASE), password or servers.secrets.password(role)
            connection = await asyncpg.connect(dsn, password=secret, timeout=5)
            stack.push_async_callback(connection.close)
            return connection

        yield logged_in


@pytest.fixture
async def mended(servers: Installation) -> AsyncIterator[Callable[[], Awaitable[list[Finding]]]]:
    """Provisions, and tells what was not right; at the end of the test everything is right again."""

    async def mend() -> list[Finding]:
        report = await provision(servers.provision_settings())
        return [finding for finding in report.findings if finding.state is not State.RIGHT]

    yield mend
    assert (await provision(servers.provision_settings())).ok


@asynccontextmanager
async def _bus(servers: Installation, user: str) -> AsyncIterator[Bus]:
    settings = BusSettings.model_validate(
        {"nats_urls": servers.nats_url, "nats_seed_file": servers.secrets.seed_file(user)}
    )
    refusals: list[str] = []

    async def note(error: Exception) -> None:
        refusals.append(str(error))

    options = connect_options(settings, user=user) | {"error_cb": note}
    client = await nats.connect(**options, nkeys_seed_str=settings.seed())
    try:
        yield Bus(client, refusals)
    finally:
        await client.close()
