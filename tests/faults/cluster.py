"""The running system on three nats-servers that keep every stream three times."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from pathlib import Path

from deploy.embedded.datadir import open_data_directory
from deploy.embedded.nats import Nats, prepare_nats
from deploy.embedded.ports import USUAL_PORTS, choose_ports, free_port
from deploy.embedded.postgres import prepare_postgres
from deploy.embedded.stack import Options, Stack, _mailbox, _service
from deploy.embedded.supervisor import Supervisor
from deploy.provision import provision
from deploy.provision.accounts import render
from deploy.provision.secrets import Secrets, ensure
from shared.contracts import SERVICES
from tests.faults.ground import OPTIONS, Ground, ground_on, provisioning
from tests.faults.orders import Orders

NAMES = ("nats-1", "nats-2", "nats-3")


@dataclass(frozen=True, kw_only=True)
class Cluster(Nats):
    """The first of three, known by all their addresses."""

    urls: str = ""

    @property
    def url(self) -> str:
        """Of all three."""
        return self.urls


def _servers(directory: Path, secrets: Secrets) -> list[Nats]:
    """Three servers that know each other."""
    routes = [free_port() for _ in NAMES]
    servers = []
    for name, own in zip(NAMES, routes, strict=True):
        server = prepare_nats(
            directory / name,
            accounts=render(secrets),
            port=free_port(),
            monitoring_port=free_port(),
            server_name=name,
            sync_interval=str(OPTIONS["sync_interval"]),
        )
        others = ", ".join(f'"nats://127.0.0.1:{port}"' for port in routes)
        with server.config.open("a") as config:
            config.write(f'cluster {{ name: conecta, listen: "127.0.0.1:{own}", routes: [{others}] }}\n')
        servers.append(server)
    return servers


@asynccontextmanager
async def clustered(directory: Path, *, seed: int) -> AsyncIterator[Ground]:
    """A fresh system on a cluster."""
    orders = Orders(directory / "orders")
    with open_data_directory(directory / "data") as data:
        secrets = ensure(data.path / "secrets")
        ports = choose_ports(data.path / "ports.json", dict.fromkeys(USUAL_PORTS))
        postgres = prepare_postgres(data.path / "postgres", password=secrets.password("postgres"))
        servers = _servers(data.path, secrets)
        first = {field.name: getattr(servers[0], field.name) for field in fields(Nats)}
        nats = Cluster(**first, urls=",".join(server.url for server in servers))
        async with Supervisor(logs=data.logs, inherit=(data.inherited,), handle_signals=False) as supervisor:
            stack = Stack(
                directory=data.path, supervisor=supervisor, postgres=postgres, nats=nats, secrets=secrets, ports=ports
            )
            programs = [server.program(name=name) for name, server in zip(NAMES, servers, strict=True)]
            await supervisor.launch(postgres.program(), *programs, _mailbox(data, ports))
            assert (await provision(provisioning(stack, replicas=3))).ok
            environment = {service: orders.environment(service) for service in SERVICES}
            options = Options(service_env=environment)
            await supervisor.launch(*(_service(stack, service, options) for service in SERVICES))
            async with ground_on(stack, orders, seed=seed, replicas=3, servers=NAMES) as ground:
                yield ground
