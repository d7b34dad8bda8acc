"""The running system on which faults happen: stack, clients, what was received, how calm it is.

One serves many cases, one after the other, so that every case is checked on all that went before it.
"""

from __future__ import annotations

import asyncio
import json
import random
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from deploy.embedded.stack import DATABASE, Options, Stack, running
from deploy.provision import provision
from shared.client import Client, ClientError, connected
from shared.contracts import SERVICES, Command, aid_calls, evaluation, notifications, registration
from shared.contracts.people import PersonDetails, Role
from shared.identity import Authority
from shared.settings import OperatorSettings, ProvisionSettings
from tests.faults.orders import Orders
from tests.faults.senders import Person, Senders

OPTIONS = {"sync_interval": "always", "commands_max_bytes": 64 << 20, "events_max_bytes": 128 << 20}
KINDS = (("web", "one"), ("web", "two"), ("bot", "one"), ("cli", "one"))
STATUS = {module.ServiceStatus.service: module for module in (registration, aid_calls, evaluation, notifications)}


@dataclass(kw_only=True)
class Ground:
    """What a case works with. `parked` messages are there on purpose; `resent` mails may be there twice.

    `reordered` once EVENTS was rebuilt while services went on: what is new may stand before what is old.
    """

    stack: Stack
    orders: Orders
    senders: Senders
    asking: Client
    rng: random.Random
    organiser: Person
    seasons: int = 0
    parked: int = 0
    resent: int = 0
    reordered: bool = False
    spoiled: bool = False
    rates: list[str] = field(default_factory=list)
    replicas: int = 1
    servers: tuple[str, ...] = ("nats",)

    @asynccontextmanager
    async def database(self, user: str = "postgres", name: str = DATABASE) -> AsyncIterator[Any]:
        """A connection of the superuser, or of a service."""
        password = self.stack.secrets.password(user)
        connection = await asyncpg.connect(self.stack.postgres.dsn(user=user, password=password, database=name))
        try:
            yield connection
        finally:
            await connection.close()

    def provision_settings(self) -> ProvisionSettings:
        """As `conecta provision` finds them."""
        return provisioning(self.stack, replicas=self.replicas)

    def operator_settings(self) -> OperatorSettings:
        """As operators' tools find them."""
        return OperatorSettings.model_validate(
            {
                "nats_urls": self.stack.nats.url,
                "postgres_dsn": self.stack.postgres.dsn(password=""),
                "secrets_dir": self.stack.secrets.directory,
            }
        )

    async def provision(self) -> None:
        """What an operator does when `conecta doctor` says that the bus is not as it should be."""
        assert (await provision(self.provision_settings())).ok

    async def ask(self, question: Any) -> Any:
        """An answer to the organiser, asked again while a service is away."""
        while True:
            try:
                token = self.senders.token(self.organiser)
                return await self.asking.ask(question, question.answer, actor=token, seconds=3)
            except ClientError:
                await asyncio.sleep(0.1)  # it is being restarted; the caller's time limit ends this

    async def until(self, question: Any, holds: Callable[[Any], bool], *, seconds: float = 120) -> Any:
        """The first answer of which that holds."""
        async with asyncio.timeout(seconds):
            while not holds(answer := await self.ask(question)):  # noqa: ASYNC110 — another process changes it
                await asyncio.sleep(0.05)  # between two questions
        return answer

    async def calm(self, *, seconds: float = 120) -> None:
        """Nothing waits anywhere, also not what the first round led to; every mail is sent."""
        for _ in range(2):
            for module in STATUS.values():
                await self.until(module.ServiceStatus(), lambda status: status.idle, seconds=seconds)
        await self.until(notifications.NotificationCounts(), lambda counts: counts.waiting == 0, seconds=seconds)

    async def decides(self) -> float:
        """Seconds until every service has decided a command that is sent now."""
        started = monotonic()
        await asyncio.gather(*(self.senders.carry(command, self.organiser) for command in self._probes()))
        return monotonic() - started

    def _probes(self) -> list[Command]:
        self.seasons += 1  # numbers are used once
        details = PersonDetails(given="Prueba", family="Viva", email=f"probe-{self.seasons}@example.org")
        self.rates.append(f"probe-{self.seasons}")
        return [
            registration.RegisterPerson(person_id=uuid7(), person=details),
            aid_calls.CreateCall.model_validate(call_rules(uuid7(), f"PROBE-{self.seasons}")),
            evaluation.RecordExchangeRate.model_validate(
                {"pen_per_usd": "3.70", "date": date(2026, 1, 1), "source": self.rates[-1]}
            ),
            notifications.RetryNotification(notification_id=uuid7()),
        ]

    async def mailbox(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The mailbox's interface for programs."""
        request = urllib.request.Request(  # noqa: S310 — our own mailbox
            f"{self.stack.mailbox_http}{path}", method=method, data=json.dumps(body).encode() if body else None
        )
        with await asyncio.to_thread(urllib.request.urlopen, request, timeout=10) as answer:
            return json.loads(answer.read())

    async def ready(self, service: str) -> bool:
        """What the service's own /readyz says."""
        port = self.stack.ports[f"{service}_health"]
        try:
            await asyncio.to_thread(urllib.request.urlopen, f"http://127.0.0.1:{port}/readyz", timeout=10)
        except OSError:
            return False
        return True

    def restarts(self) -> dict[str, int]:
        """How often each program was started again so far."""
        return {
            name: self.stack.supervisor.restarts(name) for name in ("postgres", *self.servers, "mailbox", *SERVICES)
        }


def call_rules(call_id: UUID, code: str, **changes: Any) -> dict[str, Any]:
    """A call that opens next year, unless told otherwise."""
    return {
        "call_id": call_id,
        "code": code,
        "title": "Movilidad",
        "host_region": "08",
        "host_city": "Cusco",
        "opens_at": "2199-01-01T00:00:00Z",
        "closes_at": "2199-02-01T00:00:00Z",
        "fund": "3000.00",
        "reserved_share_percent": 60,
        "reserved_excluding_regions": ["15"],
        "days": 3,
        "per_diem": "80",
        "ceiling": "900",
        "fares": {"15": "400", "20": "500", "08": "0"},
        "criteria": [{"key": "relevance", "name": "R", "weight": 60}, {"key": "network", "name": "N", "weight": 40}],
        "score_min": 0,
        "score_max": 10,
        "divergence_over": "20",
        "minimum_total": "50",
        **changes,
    }


def provisioning(stack: Stack, *, replicas: int) -> ProvisionSettings:
    """What `conecta provision` of this system finds in its environment."""
    return ProvisionSettings.model_validate(
        {
            "nats_urls": stack.nats.url,
            "nats_seed_file": stack.secrets.seed_file("provision"),
            "postgres_dsn": stack.postgres.dsn(password=""),
            "postgres_password_file": stack.secrets.password_file("postgres"),
            "secrets_dir": stack.secrets.directory,
            "replicas": replicas,
            "commands_max_bytes": OPTIONS["commands_max_bytes"],
            "events_max_bytes": OPTIONS["events_max_bytes"],
        }
    )


@asynccontextmanager
async def prepared(directory: Path, *, seed: int, **options: Any) -> AsyncIterator[Ground]:
    """A fresh system that listens to orders."""
    orders = Orders(directory / "orders")
    environment = {service: orders.environment(service) for service in SERVICES}
    wanted = Options(**{**OPTIONS, "service_env": environment, **options})
    async with (
        running(directory / "data", options=wanted, handle_signals=False) as stack,
        ground_on(stack, orders, seed=seed) as ground,
    ):
        yield ground


@asynccontextmanager
async def ground_on(stack: Stack, orders: Orders, *, seed: int, **changes: Any) -> AsyncIterator[Ground]:
    """Clients on a running system."""
    rng = random.Random(seed)  # noqa: S311 — repeatable on purpose
    async with AsyncExitStack() as stacked:
        clients = [
            await stacked.enter_async_context(connected(stack.client_settings(kind, instance=instance)))
            for kind, instance in KINDS
        ]
        authority = Authority(stack.secrets.identity_key_file)
        yield Ground(
            stack=stack,
            orders=orders,
            senders=Senders(clients, authority, rng),
            asking=clients[-1],
            rng=rng,
            organiser=Person(uuid7(), Role.ORGANISER),
            **changes,
        )
