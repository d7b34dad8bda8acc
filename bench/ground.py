"""Where everything is measured: an embedded stack, with one more user on its bus and PostgreSQL's superuser.

Mails are owed but not sent here: no server listens on the mail port until a sink is started on it.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import asyncpg
import nats
import uvloop
from nats.aio.client import Client

from deploy.embedded.ports import free_port
from deploy.embedded.stack import DATABASE, Options, Stack, running
from deploy.provision.accounts import APP, render
from shared.contracts import SERVICES

T = TypeVar("T")

USER = "bench"
MAIL_CONNECTIONS = 16


@dataclass(frozen=True, kw_only=True)
class Ground:
    """A running system with the means to measure it."""

    stack: Stack
    bus: Client
    superuser: asyncpg.Connection[asyncpg.Record]
    bus_password: str
    mail_port: int
    sync_interval: str
    started_in: float

    @property
    def directory(self) -> Path:
        """Where logs and data are."""
        return self.stack.directory

    def pids(self, *names: str) -> list[int]:
        """The main processes of these programs."""
        return [pid for name in names if (pid := self.stack.supervisor.pid(name)) is not None]

    def dsn(self) -> str:
        """PostgreSQL as superuser, in the system's own database."""
        return self.stack.postgres.dsn(database=DATABASE)

    def service_dsn(self, service: str) -> str:
        """PostgreSQL as a service sees it."""
        return self.stack.postgres.dsn(user=service, password=self.stack.secrets.password(service), database=DATABASE)

    async def connect(self) -> Client:
        """Another connection as the bench's own user."""
        return await nats.connect(
            self.stack.nats.url, user=USER, password=self.bus_password, pending_size=64 << 20, name=USER
        )

    async def api(self, call: str, body: Mapping[str, Any] | None = None) -> Any:
        """JetStream's answer; RuntimeError if that is an error."""
        payload = b"" if body is None else json.dumps(body).encode()
        reply = await self.bus.request(f"$JS.API.{call}", payload, timeout=10)
        answer = json.loads(reply.data)
        if "error" in answer:
            raise RuntimeError(f"{call}: {answer['error']}")
        return answer

    @asynccontextmanager
    async def held(self, table: str) -> AsyncIterator[None]:
        """Let nobody write to a table: whoever consumes stands still with the first batch in hand, but warm.

        (nats-server 2.15.1 can pause a consumer, but one that is resumed hands nothing over until the requests that
        wait have expired, 20 s later.) When the block ends, the consumer is waiting for the table, not for a retry.
        """
        connection = await asyncpg.connect(self.dsn())
        try:
            await connection.execute("set idle_in_transaction_session_timeout = 0")
            async with connection.transaction():
                await connection.execute(f"lock table {table} in access exclusive mode")
                yield
                await until(lambda: self._waited_for(table), seconds=30, what=f"somebody waiting for {table}")
        finally:
            await connection.close()

    async def _waited_for(self, table: str) -> bool:
        query = "select exists (select from pg_locks where relation = $1::regclass and not granted)"
        return bool(await self.superuser.fetchval(query, table))

    async def last_sequence(self, stream: str) -> int:
        """Where a stream stands."""
        return int((await self.api(f"STREAM.INFO.{stream}"))["state"]["last_seq"])

    async def waiting(self, stream: str, consumer: str) -> int:
        """How many messages a consumer has not settled."""
        info = await self.api(f"CONSUMER.INFO.{stream}.{consumer}")
        return int(info["num_pending"]) + int(info["num_ack_pending"])


@asynccontextmanager
async def ground(directory: Path, *, sync_interval: str, env: Mapping[str, str] | None = None) -> AsyncIterator[Ground]:
    """A system to measure, as long as the block lasts."""
    mail_port, password = free_port(), secrets.token_urlsafe(16)
    service_env = {service: {**(env or {})} for service in SERVICES}
    service_env["notifications"]["CONECTA_SMTP_PORT"] = str(mail_port)
    service_env["notifications"]["CONECTA_SMTP_CONNECTIONS"] = str(MAIL_CONNECTIONS)
    options = Options(
        sync_interval=sync_interval, service_env=service_env, commands_max_bytes=1900 << 20, events_max_bytes=1900 << 20
    )
    began = monotonic()
    async with running(directory, options=options) as stack:
        started_in = monotonic() - began
        await stack.nats.reload_accounts(
            _with_own_user(render(stack.secrets), password),
            signal=lambda number: stack.supervisor.signal("nats", number),
        )
        bus = await nats.connect(stack.nats.url, user=USER, password=password, name=USER)
        superuser = await asyncpg.connect(stack.postgres.dsn(database=DATABASE))
        try:
            yield Ground(
                stack=stack,
                bus=bus,
                superuser=superuser,
                bus_password=password,
                mail_port=mail_port,
                sync_interval=sync_interval,
                started_in=started_in,
            )
        finally:
            await bus.close()
            await superuser.close()


async def in_own_loop(load: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a load in a thread with uvloop, as clients run; this process's own loop starts other processes."""
    return await asyncio.to_thread(lambda: uvloop.run(load()))


async def until(holds: Callable[[], Coroutine[Any, Any, bool]], *, seconds: float, what: str) -> None:
    """Wait for a condition, looking every 20 ms; TimeoutError says what was waited for."""
    deadline = monotonic() + seconds
    while not await holds():
        if monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:.0f} s: {what}")
        await asyncio.sleep(0.02)


def _with_own_user(accounts: str, password: str) -> str:
    """The system's accounts and one user more in the services' own, who may do everything there."""
    block, _, rest = accounts.removeprefix("accounts: ").rpartition("\nsystem_account")
    known = json.loads(block)
    known[APP]["users"].append({"user": USER, "password": password})
    return f"accounts: {json.dumps(known, indent=2)}\nsystem_account{rest}"
