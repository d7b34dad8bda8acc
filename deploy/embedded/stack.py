"""The whole system on one machine without containers: servers from wheels, each service its own process.

The order: secrets, PostgreSQL and NATS and the mailbox, provisioning, the services. What a client needs to
connect is written to `clients/<client>.env`, and where everything is to `ready.json`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.embedded.datadir import DataDirectory, open_data_directory, write_private
from deploy.embedded.nats import Nats, prepare_nats
from deploy.embedded.output import Console
from deploy.embedded.ports import HOST, USUAL_PORTS, choose_ports
from deploy.embedded.postgres import Postgres, prepare_postgres
from deploy.embedded.probes import http_ok
from deploy.embedded.program import Program, RestartPolicy
from deploy.embedded.supervisor import Supervisor
from deploy.provision import provision
from deploy.provision.accounts import render
from deploy.provision.secrets import Secrets, ensure
from shared.contracts import SERVICES
from shared.contracts.wire import CLIENTS
from shared.settings import ClientSettings, ProvisionSettings

DATABASE = "conecta"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What may differ between the stack of `up`, of a story, and of tests."""

    sync_interval: str = "always"
    # The ports that people know, where they are free; otherwise any, so that many stacks do not race for them.
    usual_ports: bool = False
    service_env: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    commands_max_bytes: int = 1 << 30
    events_max_bytes: int = 2 << 30


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A running system."""

    directory: Path
    supervisor: Supervisor
    postgres: Postgres
    nats: Nats
    secrets: Secrets
    ports: Mapping[str, int]

    @property
    def mailbox_http(self) -> str:
        """Where mails are shown."""
        return f"http://{HOST}:{self.ports['mailbox_http']}"

    def client_settings(self, client: str = "cli", *, instance: str = "1") -> ClientSettings:
        """How a client of this machine connects."""
        return ClientSettings.model_validate(
            {
                "nats_urls": self.nats.url,
                "nats_seed_file": self.secrets.seed_file(client),
                "client": client,
                "instance": instance,
                "receipts_key_file": self.secrets.receipts_key_file(client),
            }
        )

    def places(self) -> dict[str, Any]:
        """What is where: the content of the ready file, which is private, since it lets in as superuser."""
        return {
            "nats": self.nats.url,
            "postgres": self.postgres.dsn(database=DATABASE),
            "mailbox_http": self.mailbox_http,
            "smtp": f"{HOST}:{self.ports['smtp']}",
            "health": {service: f"http://{HOST}:{self.ports[f'{service}_health']}/readyz" for service in SERVICES},
            "data": str(self.directory),
            "secrets": str(self.secrets.directory),
            "pids": {name: self.supervisor.pid(name) for name in ("postgres", "nats", "mailbox", *SERVICES)},
        }


@asynccontextmanager
async def running(
    directory: Path, *, console: Console | None = None, options: Options | None = None, handle_signals: bool = True
) -> AsyncIterator[Stack]:
    """The system on this data directory, ready, as long as the block lasts."""
    options = options or Options()
    with open_data_directory(directory) as data:
        secrets = ensure(data.path / "secrets")
        wanted = USUAL_PORTS if options.usual_ports else dict.fromkeys(USUAL_PORTS)
        ports = choose_ports(data.path / "ports.json", wanted)
        postgres = prepare_postgres(data.path / "postgres", password=secrets.password("postgres"))
        nats = prepare_nats(
            data.path / "nats",
            accounts=render(secrets),
            port=ports["nats"],
            monitoring_port=ports["nats_monitoring"],
            sync_interval=options.sync_interval,
        )
        async with Supervisor(
            logs=data.logs, console=console, inherit=(data.inherited,), handle_signals=handle_signals
        ) as supervisor:
            stack = Stack(
                directory=data.path, supervisor=supervisor, postgres=postgres, nats=nats, secrets=secrets, ports=ports
            )
            await supervisor.launch(postgres.program(), nats.program(), _mailbox(data, ports))
            await provision(_provision_settings(stack, options))
            await supervisor.launch(*(_service(stack, service, options) for service in SERVICES))
            for client in CLIENTS:
                _write_client_env(stack, client)
            _write_operator_env(stack, options)
            yield stack


def _provision_settings(stack: Stack, options: Options) -> ProvisionSettings:
    return ProvisionSettings.model_validate(
        {
            "nats_urls": stack.nats.url,
            "nats_seed_file": stack.secrets.seed_file("provision"),
            "postgres_dsn": stack.postgres.dsn(password=""),
            "postgres_password_file": stack.secrets.password_file("postgres"),
            "secrets_dir": stack.secrets.directory,
            "commands_max_bytes": options.commands_max_bytes,
            "events_max_bytes": options.events_max_bytes,
        }
    )


def _mailbox(data: DataDirectory, ports: Mapping[str, int]) -> Program:
    places = ("--smtp-port", str(ports["smtp"]), "--http-port", str(ports["mailbox_http"]))
    return Program(
        name="mailbox",
        argv=(sys.executable, "-m", "deploy.embedded.mailbox", *places, "--dir", str(data.path / "mails")),
        env=_base_environment(),
        ready=http_ok(f"http://{HOST}:{ports['mailbox_http']}/api/count"),
    )


def _service(stack: Stack, service: str, options: Options) -> Program:
    secrets, port = stack.secrets, stack.ports[f"{service}_health"]
    return Program(
        name=service,
        argv=(sys.executable, "-m", "deploy.run", service),
        env={
            **_base_environment(),
            "CONECTA_NATS_URLS": stack.nats.url,
            "CONECTA_NATS_SEED_FILE": str(secrets.seed_file(service)),
            "CONECTA_POSTGRES_DSN": stack.postgres.dsn(user=service, password="", database=DATABASE),
            "CONECTA_POSTGRES_PASSWORD_FILE": str(secrets.password_file(service)),
            "CONECTA_IDENTITY_KEYS_FILE": str(secrets.identity_keys_file),
            "CONECTA_HEALTH_HOST": HOST,
            "CONECTA_HEALTH_PORT": str(port),
            "CONECTA_SMTP_HOST": HOST,
            "CONECTA_SMTP_PORT": str(stack.ports["smtp"]),
            **options.service_env.get(service, {}),
        },
        ready=http_ok(f"http://{HOST}:{port}/readyz"),
        stop_grace=40.0,
        restart=RestartPolicy(longest_delay=5.0, attempts_to_become_ready=1000),
        echo=False,
    )


def _base_environment() -> dict[str, str]:
    """What a child needs of ours: nothing of CONECTA_, so that a shell's settings do not leak into services."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CONECTA_")}


def _write_client_env(stack: Stack, client: str) -> None:
    settings = stack.client_settings(client)
    directory = stack.directory / "clients"
    directory.mkdir(mode=0o700, exist_ok=True)
    lines = {
        "CONECTA_NATS_URLS": settings.nats_urls,
        "CONECTA_NATS_SEED_FILE": settings.nats_seed_file,
        "CONECTA_CLIENT": client,
        "CONECTA_RECEIPTS_KEY_FILE": settings.receipts_key_file,
        "CONECTA_RECEIPTS_KEYS_FILE": stack.secrets.receipts_keys_file,
        "CONECTA_IDENTITY_KEY_FILE": stack.secrets.identity_key_file,
    }
    write_private(directory / f"{client}.env", "".join(f"{name}={value}\n" for name, value in lines.items()))


def _write_operator_env(stack: Stack, options: Options) -> None:
    lines = {
        "NATS_URLS": stack.nats.url,
        "NATS_MONITORING_URL": stack.nats.monitoring_url,
        "POSTGRES_DSN": stack.postgres.dsn(password=""),
        "SECRETS_DIR": stack.secrets.directory,
        "DATA_DIR": stack.directory,
        "HEALTH_URLS": json.dumps(stack.places()["health"]),
        "COMMANDS_MAX_BYTES": options.commands_max_bytes,
        "EVENTS_MAX_BYTES": options.events_max_bytes,
    }
    text = "".join(f"CONECTA_OPERATOR_{name}={value}\n" for name, value in lines.items())
    write_private(stack.directory / "clients" / "operator.env", text)
