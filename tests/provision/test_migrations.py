"""Migrations of a directory made up for the test, in the schema of evaluation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path

import pytest

from deploy.provision.administration import Connection
from deploy.provision.migrations import MigrationError, Migrations, settle_migrations
from deploy.provision.report import Finding, Report, State
from tests.provision.conftest import LogIn
from tests.servers import Installation

TABLE = "made_up_migrations"
WHAT = f"migrations in evaluation.{TABLE}"
Settle = Callable[[], Coroutine[None, None, list[Finding]]]


@pytest.fixture
async def superuser(log_in: LogIn) -> AsyncIterator[Connection]:
    connection = await log_in("postgres")
    yield connection
    await connection.execute(f"drop table if exists evaluation.{TABLE}, evaluation.made_up, evaluation.more")


@pytest.fixture
def settle(servers: Installation, superuser: Connection, tmp_path: Path) -> Settle:
    """Applies what the test has written to its directory."""

    async def settled() -> list[Finding]:
        report = Report()
        migrations = Migrations(tmp_path, TABLE)
        await settle_migrations(superuser, servers.provision_settings(), "evaluation", migrations, report)
        return report.findings

    return settled


def write(directory: Path, name: str, sql: str) -> None:
    (directory / name).write_text(f"-- migrate:up\n{sql};\n-- migrate:down\n")


async def test_they_are_applied_once_and_in_order(settle: Settle, superuser: Connection, tmp_path: Path) -> None:
    write(tmp_path, "0002_more.sql", "insert into made_up values (2)")
    write(tmp_path, "0001_made_up.sql", "create table made_up (x int)")
    detail = "0001_made_up.sql, 0002_more.sql to apply"
    assert await settle() == [Finding(WHAT, State.MENDED, detail)]
    assert await settle() == [Finding(WHAT, State.RIGHT)]
    write(tmp_path, "0003_again.sql", "insert into made_up values (3)")
    assert await settle() == [Finding(WHAT, State.MENDED, "0003_again.sql to apply")]
    assert [row["x"] for row in await superuser.fetch("select x from evaluation.made_up order by x")] == [2, 3]


async def test_they_are_carried_out_as_the_owner_of_the_schema_and_cannot_wait_for_ever(
    settle: Settle, superuser: Connection, tmp_path: Path
) -> None:
    timeouts = "current_setting('lock_timeout'), current_setting('statement_timeout')"
    shown = f"current_user, session_user, current_schema(), {timeouts}"
    write(tmp_path, "0001_made_up.sql", f"create table made_up as select array[{shown}]::text[] as shown")
    await settle()
    shown_there = await superuser.fetchval("select shown from evaluation.made_up")
    assert shown_there == ["evaluation_owner", "postgres", "evaluation", "5s", "5min"]
    owner = await superuser.fetchval(
        "select relowner::regrole::text from pg_class where oid = 'evaluation.made_up'::regclass"
    )
    assert owner == "evaluation_owner"


async def test_one_that_fails_leaves_nothing_of_itself_and_says_why(
    settle: Settle, superuser: Connection, tmp_path: Path
) -> None:
    write(tmp_path, "0001_made_up.sql", "create table made_up (x int)")
    write(tmp_path, "0002_bad.sql", "create table more (x int); create table made_up (x int)")
    with pytest.raises(MigrationError, match='relation "made_up" already exists') as caught:
        await settle()
    assert "postgres://" not in str(caught.value)
    applied = await superuser.fetch(f"select version from evaluation.{TABLE}")
    assert [row["version"] for row in applied] == ["0001"]
    assert await superuser.fetchval("select to_regclass('evaluation.more')") is None


async def test_one_that_reaches_into_another_schema_fails(settle: Settle, tmp_path: Path) -> None:
    write(tmp_path, "0001_made_up.sql", "create table registration.made_up (x int)")
    with pytest.raises(MigrationError, match="permission denied for schema registration"):
        await settle()


async def test_the_password_is_on_no_command_line(
    servers: Installation, settle: Settle, log_in: LogIn, tmp_path: Path
) -> None:
    other = await log_in("postgres")
    write(tmp_path, "0001_made_up.sql", "select pg_advisory_xact_lock(77)")
    await other.execute("select pg_advisory_lock(77)")
    running = asyncio.create_task(settle())
    async with asyncio.timeout(10):
        while not await other.fetchval("select true from pg_locks where objid = 77 and not granted"):
            assert not running.done()
            await asyncio.sleep(0.01)
    lines = command_lines()
    await other.execute("select pg_advisory_unlock(77)")
    assert await running == [Finding(WHAT, State.MENDED, "0001_made_up.sql to apply")]
    assert [line for line in lines if f"--migrations-table={TABLE}" in line] != []
    assert [line for line in lines if servers.secrets.password("postgres") in line] == []


def command_lines() -> list[str]:
    """What every process of this machine was started with, as `ps` shows it."""
    lines = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            lines.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:  # ended meanwhile
            continue
    return lines
