"""Configuration from the environment (prefix `CONECTA_`). Secrets come as files, so that they stand in no listing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.contracts.wire import ClientName, InstanceName


class _Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="CONECTA_", frozen=True, extra="ignore")


class BusSettings(_Settings):
    """How to reach NATS, and as whom: an nkey seed in a file."""

    nats_urls: str = Field(default="nats://127.0.0.1:4222", description="comma-separated")
    nats_seed_file: Path

    def servers(self) -> list[str]:
        """The URLs, one by one."""
        return [url.strip() for url in self.nats_urls.split(",")]

    def seed(self) -> str:
        """The nkey seed itself."""
        return self.nats_seed_file.read_text().strip()


class ServiceSettings(BusSettings):
    """What one service process needs to run."""

    postgres_dsn: str = Field(description="without a password")
    postgres_password_file: Path
    identity_keys_file: Path = Field(description="public JWK set that actor tokens verify against")
    health_host: str = "127.0.0.1"
    health_port: int = 0
    instance: InstanceName = "1"
    log_level: str = "INFO"
    batch: Annotated[int, Field(ge=1, le=1000)] = Field(default=256, description="messages in one transaction")
    smtp_host: str = "127.0.0.1"
    smtp_port: int = 1025
    smtp_connections: Annotated[int, Field(ge=1, le=64)] = 4
    mail_from: str = "Encuentros CONECTA <no-responder@conecta.example>"

    def postgres_password(self) -> str:
        """The password of the service's role."""
        return self.postgres_password_file.read_text().strip()


class ClientSettings(BusSettings):
    """What a client process needs: its kind, its own name among its kind, the key that signs its receipts."""

    client: ClientName = "cli"
    instance: InstanceName = "1"
    receipts_key_file: Path


class OperatorSettings(BaseSettings):
    """What operators' tools need (prefix `CONECTA_OPERATOR_`, apart from a client's on the same machine).

    The directory of secrets is the operators': what a tool does as a service, it does with that service's rights.
    """

    model_config = SettingsConfigDict(env_prefix="CONECTA_OPERATOR_", frozen=True, extra="ignore")

    nats_urls: str = "nats://127.0.0.1:4222"
    nats_monitoring_url: str | None = Field(default=None, description="where /varz is, if it can be reached")
    postgres_dsn: str = Field(description="the superuser's, without a password")
    secrets_dir: Path
    data_dir: Path | None = Field(default=None, description="whose file system is watched, if it is on this machine")
    health_urls: dict[str, str] = Field(default={}, description="service to its /readyz, as JSON")
    replicas: Annotated[int, Field(ge=1, le=5)] = 1
    commands_max_bytes: int = 4 << 30
    events_max_bytes: int = 16 << 30


class ProvisionSettings(BusSettings):
    """What `conecta provision` needs: the bus user that may create streams, and a PostgreSQL superuser."""

    postgres_dsn: str
    postgres_password_file: Path
    secrets_dir: Path
    replicas: Annotated[int, Field(ge=1, le=5)] = 1
    commands_max_bytes: int = 4 << 30
    events_max_bytes: int = 16 << 30

    def postgres_password(self) -> str:
        """The superuser's password."""
        return self.postgres_password_file.read_text().strip()
