"""What a service's role can and cannot do in PostgreSQL. Every refusal has a twin that is allowed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from deploy.provision.administration import DATABASE, Connection
from deploy.provision.roles import CONNECTIONS, owner
from shared.contracts import SERVICES
from tests.provision.conftest import LogIn

NOTED = "insert into registration.journal (fact_id, type, subject, thing, version) values (uuidv7(), 't', 's', 'x', 1)"
DECIDED = "insert into registration.commands (command_id, outcome) values (uuidv7(), '{}')"
FAILED = """
    insert into registration.failures as f (consumer, message_id, attempts, error) values ('c', 'm', 1, 'e')
    on conflict (consumer, message_id) do update set attempts = f.attempts + 1
    """


@asynccontextmanager
async def undone(connection: Connection) -> AsyncIterator[None]:
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    finally:
        await transaction.rollback()


async def refusal(connection: Connection, statement: str) -> str:
    with pytest.raises(asyncpg.InsufficientPrivilegeError) as caught:
        await connection.execute(statement)
    return str(caught.value)


async def test_a_service_reads_its_own_schema_and_no_other(log_in: LogIn) -> None:
    registration, aid_calls = await log_in("registration"), await log_in("aid_calls")
    assert await registration.fetch("select 1 from registration.journal where false") == []
    assert await refusal(registration, "select 1 from aid_calls.journal") == "permission denied for schema aid_calls"
    assert await aid_calls.fetch("select 1 from aid_calls.journal where false") == []


@pytest.mark.parametrize("service", SERVICES)
async def test_no_role_has_any_right_in_a_schema_that_is_not_its_own(log_in: LogIn, service: str) -> None:
    superuser = await log_in("postgres")
    usable = await superuser.fetch(
        "select nspname from pg_namespace where has_schema_privilege($1, oid, 'usage') and nspname !~ '^pg_'", service
    )
    assert sorted(row["nspname"] for row in usable) == sorted(["information_schema", service])
    foreign = await superuser.fetch(
        """
        select oid::regclass::text from pg_class
         where relnamespace::regnamespace::text = any($2) and relkind in ('r', 'p', 'v', 'm')
           and has_table_privilege($1, oid, 'select, insert, update, delete, truncate, references, trigger')
        """,
        service,
        [other for other in SERVICES if other != service],
    )
    assert foreign == []


@pytest.mark.parametrize(
    "statement", ["create table registration.t (x int)", "create table public.t (x int)", "create temp table t (x int)"]
)
async def test_a_service_makes_no_tables_and_its_owner_does(log_in: LogIn, statement: str) -> None:
    registration, superuser = await log_in("registration"), await log_in("postgres")
    assert (await refusal(registration, statement)).startswith("permission denied ")
    async with undone(superuser):
        await superuser.execute(statement)
    async with undone(superuser):
        await superuser.execute(f"set local role {owner('registration')}")
        await superuser.execute("create table registration.t (x int)")


@pytest.mark.parametrize(
    "statement", ["create schema s", "create role r", f"set role {owner('registration')}", "set role aid_calls"]
)
async def test_a_service_becomes_nobody_else(log_in: LogIn, statement: str) -> None:
    assert (await refusal(await log_in("registration"), statement)).startswith("permission denied ")


async def test_the_journal_is_append_only(log_in: LogIn) -> None:
    registration, superuser = await log_in("registration"), await log_in("postgres")
    async with undone(registration):
        position = await registration.fetchval(f"{NOTED} returning position")
        assert await registration.fetchval("select type from registration.journal where position = $1", position) == "t"
    for statement in ("update {} set type = 'u'", "delete from {}", "truncate {}", "drop table {}"):
        denied = await refusal(registration, statement.format("registration.journal"))
        assert denied in {"permission denied for table journal", "must be owner of table journal"}
    async with undone(superuser):
        await superuser.execute(NOTED)
        assert await superuser.execute("delete from registration.journal") != "DELETE 0"


async def test_decided_commands_stay_decided(log_in: LogIn) -> None:
    registration = await log_in("registration")
    async with undone(registration):
        await registration.execute(DECIDED)
        assert await registration.fetchval("select count(*) from registration.commands") >= 1
    for statement in ("update {} set outcome = null", "delete from {}"):
        denied = await refusal(registration, statement.format("registration.commands"))
        assert denied == "permission denied for table commands"


async def test_a_relay_takes_positions_out_and_changes_none(log_in: LogIn) -> None:
    registration = await log_in("registration")
    async with undone(registration):
        await registration.execute("insert into registration.unpublished values (-1)")
        assert await registration.execute("delete from registration.unpublished where position = -1") == "DELETE 1"
    denied = await refusal(registration, "update registration.unpublished set position = 1")
    assert denied == "permission denied for table unpublished"


async def test_failures_are_counted_and_forgotten(log_in: LogIn) -> None:
    registration = await log_in("registration")
    async with undone(registration):
        await registration.execute(FAILED)
        assert await registration.fetchval(f"{FAILED} returning attempts") == 2
        assert await registration.execute("delete from registration.failures where message_id = 'm'") == "DELETE 1"


@pytest.mark.parametrize("table", ["foundation_migrations", "schema_migrations"])
async def test_a_service_does_not_touch_what_notes_its_migrations(log_in: LogIn, table: str) -> None:
    registration = await log_in("registration")
    for statement in ("select version from {}", "delete from {}", "insert into {} values ('9999')"):
        denied = await refusal(registration, statement.format(f"registration.{table}"))
        assert denied == f"permission denied for table {table}"


async def test_a_table_that_a_later_migration_makes_is_the_services_to_write_but_not_to_change(log_in: LogIn) -> None:
    superuser, registration = await log_in("postgres"), await log_in("registration")
    await superuser.execute(f"set role {owner('registration')}")
    await superuser.execute("create table registration.later (x int generated always as identity, y bigserial)")
    try:
        await registration.execute("insert into registration.later default values")
        await registration.execute("update registration.later set y = 2")
        assert await registration.fetchval("delete from registration.later returning y") == 2
        assert await refusal(registration, "truncate registration.later") == "permission denied for table later"
        altered = await refusal(registration, "alter table registration.later add z int")
        assert altered == "must be owner of table later"
        aid_calls = await log_in("aid_calls")
        assert (await refusal(aid_calls, "select 1 from registration.later")).startswith("permission denied ")
    finally:
        await superuser.execute("drop table registration.later")


@pytest.mark.parametrize("service", SERVICES)
async def test_sessions_of_a_service_end_what_takes_too_long(log_in: LogIn, service: str) -> None:
    connection = await log_in(service)
    shown = {
        name: await connection.fetchval(f"show {name}")
        for name in (
            "search_path",
            "timezone",
            "statement_timeout",
            "lock_timeout",
            "idle_in_transaction_session_timeout",
            "transaction_timeout",
        )
    }
    assert shown == {
        "search_path": service,
        "timezone": "UTC",
        "statement_timeout": "8s",
        "lock_timeout": "5s",
        "idle_in_transaction_session_timeout": "30s",
        "transaction_timeout": "1min",
    }


@pytest.mark.parametrize("service", SERVICES)
async def test_roles_have_no_attribute_that_they_do_not_need(log_in: LogIn, service: str) -> None:
    superuser = await log_in("postgres")
    rows = await superuser.fetch(
        """
        select rolname, rolcanlogin, rolconnlimit,
               rolsuper or rolcreatedb or rolcreaterole or rolinherit or rolreplication or rolbypassrls as more
          from pg_roles where rolname = any($1) order by rolname
        """,
        [service, owner(service)],
    )
    assert [tuple(row) for row in rows] == [(service, True, CONNECTIONS, False), (owner(service), False, -1, False)]


async def test_owners_own_everything_and_nobody_logs_in_as_one(log_in: LogIn) -> None:
    superuser = await log_in("postgres")
    strangers = await superuser.fetch(
        """
        select oid::regclass::text from pg_class
         where relnamespace::regnamespace::text = any($1)
           and relowner::regrole::text <> relnamespace::regnamespace || '_owner'
        """,
        list(SERVICES),
    )
    assert strangers == []
    with pytest.raises(asyncpg.PostgresError):
        await log_in(owner("registration"), password="any")


async def test_strings_sort_the_same_on_every_machine(log_in: LogIn) -> None:
    superuser = await log_in("postgres")
    row = await superuser.fetchrow(
        """
        select datlocprovider::text, datlocale, pg_encoding_to_char(encoding) from pg_database where datname = $1
        """,
        DATABASE,
    )
    assert row is not None
    assert tuple(row) == ("b", "C.UTF-8", "UTF8")
