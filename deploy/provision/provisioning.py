"""One run of provisioning: the database first, then the bus, under a lock that lets others wait."""

from __future__ import annotations

import asyncpg

from deploy.provision import administration, grants, jetstream, migrations, roles, topology
from deploy.provision.cards import read_cards
from deploy.provision.report import Report
from deploy.provision.secrets import Secrets, SecretsMissing
from shared.contracts import SERVICES
from shared.settings import ProvisionSettings

PATIENCE = 60.0


class ProvisionError(Exception):
    """Provisioning cannot be carried out; the message says why, for the operator."""


async def provision(settings: ProvisionSettings, *, check: bool = False, patience: float = PATIENCE) -> Report:
    """Make and mend everything, or with `check` only tell; waits up to `patience` seconds for each server.

    Raises ProvisionError. What cannot be changed in place is in the report (`ok` is false), not an exception.
    """
    report = Report(check=check)
    try:
        async with administration.turn(settings, patience=patience) as maintenance:
            await _provision_database(settings, maintenance, report, patience=patience)
            await _provision_bus(settings, report, patience=patience)
    except (
        administration.DatabaseError,
        jetstream.BusError,
        migrations.MigrationError,
        SecretsMissing,
    ) as error:
        raise ProvisionError(str(error)) from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise ProvisionError(f"PostgreSQL: {str(error) or type(error).__name__}") from error
    return report


async def _provision_database(
    settings: ProvisionSettings, maintenance: administration.Connection, report: Report, *, patience: float
) -> None:
    await roles.settle_roles(maintenance, Secrets(settings.secrets_dir), report)
    if not await grants.settle_database(maintenance, report):
        return
    await roles.settle_settings(maintenance, report)
    async with administration.connected(settings, administration.DATABASE, patience=patience) as connection:
        await grants.settle_public(connection, report)
        for service in SERVICES:
            await grants.settle_schema(connection, service, report)
            for directory in migrations.migrations_of(service):
                await migrations.settle_migrations(connection, settings, service, directory, report)
            await grants.settle_tables(connection, service, report)


async def _provision_bus(settings: ProvisionSettings, report: Report, *, patience: float) -> None:
    async with jetstream.connected(settings, patience=patience) as api:
        await jetstream.settle_streams(api, topology.streams(settings), report)
        await jetstream.settle_consumers(api, topology.consumers(read_cards()), report)
