"""The database, one schema per service, and who may do what in them: a service its own rows, nobody anything else.

Rights are compared with what PostgreSQL has, so that one too many is taken back and one too few given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from deploy.provision.administration import DATABASE, Connection
from deploy.provision.report import MISSING, Report
from deploy.provision.roles import owner
from shared.contracts import SERVICES

ROWS = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})
# Tables of the foundation on which the service has less than all rights on rows. The journal is append-only.
LESS: Mapping[str, frozenset[str]] = {
    "journal": frozenset({"SELECT", "INSERT"}),
    "unpublished": frozenset({"SELECT", "INSERT", "DELETE"}),
    "commands": frozenset({"SELECT", "INSERT"}),
    "foundation_migrations": frozenset(),
    "schema_migrations": frozenset(),
}
_SEQUENCE = frozenset({"USAGE"})
_NOBODY = "public"


class Right(NamedTuple):
    """A right that a role (or `public`, everybody) has."""

    role: str
    privilege: str


class Thing(NamedTuple):
    """Something that rights are given on: how SQL names it, and the query that tells who has which."""

    sql: str
    query: str
    argument: str


async def settle_database(connection: Connection, report: Report) -> bool:
    """Make the database, sorted the same way on every machine; whether it is there now."""
    # Whether there is one.
    exists = await connection.fetchval("select true from pg_database where datname = $1", DATABASE)

    async def create() -> None:
        await connection.execute(
            f"create database {DATABASE} template template0 encoding 'UTF8' locale 'C'"
            " locale_provider builtin builtin_locale 'C.UTF-8'"
        )

    await report.settle(f"database {DATABASE}", "" if exists else MISSING, create)
    return bool(exists) or not report.check


async def settle_public(connection: Connection, report: Report) -> None:
    """Only services may connect; nobody may make temporary tables, or use the schema that is everybody's."""
    database = Thing(f"database {DATABASE}", _DATABASE, DATABASE)
    await _settle_rights(connection, database, {Right(service, "CONNECT") for service in SERVICES}, report)
    await _settle_rights(connection, Thing("schema public", _SCHEMA, "public"), set(), report)


async def settle_schema(connection: Connection, service: str, report: Report) -> None:
    """Make a service's schema, and what its future tables and sequences grant; before its migrations."""
    role = owner(service)
    # Its owner, if there is one.
    owned_by = await connection.fetchval("select nspowner::regrole::text from pg_namespace where nspname = $1", service)

    async def mend() -> None:
        create, hand_over = "create schema {} authorization {}", "alter schema {} owner to {}"
        await connection.execute((create if owned_by is None else hand_over).format(service, role))

    wrong = MISSING if owned_by is None else "" if owned_by == role else f"belongs to {owned_by}"
    await report.settle(f"schema {service}", wrong, mend)
    schema = Thing(f"schema {service}", _SCHEMA, service)
    await _settle_rights(connection, schema, {Right(service, "USAGE")}, report)
    for kind, privileges in (("tables", ROWS), ("sequences", _SEQUENCE)):
        await _settle_defaults(connection, service, kind, privileges, report)


async def settle_tables(connection: Connection, service: str, report: Report) -> None:
    """Give the service its rights on the tables and sequences that there are; after its migrations."""
    for kind, name in await connection.fetch(_RELATIONS, service):
        wanted = _SEQUENCE if kind == "sequence" else LESS.get(name, ROWS)
        place = f'{service}."{name}"'
        rights = {Right(service, privilege) for privilege in wanted}
        await _settle_rights(connection, Thing(f"{kind} {place}", _RELATION, place), rights, report)


async def _settle_rights(connection: Connection, thing: Thing, wanted: set[Right], report: Report) -> None:
    """Give and take back, until the rights of everybody but the owner are those wanted."""
    found = {Right(*row) for row in await connection.fetch(thing.query, thing.argument)}

    async def mend() -> None:
        await _change(connection, "", thing.sql, found, wanted)

    await report.settle(f"rights on {thing.sql}", _unlike(found, wanted), mend)


async def _settle_defaults(
    connection: Connection, service: str, kind: str, privileges: frozenset[str], report: Report
) -> None:
    """The same for what does not exist yet."""
    letter = "r" if kind == "tables" else "S"
    found = {Right(*row) for row in await connection.fetch(_DEFAULTS, owner(service), service, letter)}
    wanted = {Right(service, privilege) for privilege in privileges}

    async def mend() -> None:
        future = f"alter default privileges for role {owner(service)} in schema {service} "
        await _change(connection, future, kind, found, wanted)

    await report.settle(f"rights on future {kind} of {service}", _unlike(found, wanted), mend)


async def _change(connection: Connection, prefix: str, grant_on: str, found: set[Right], wanted: set[Right]) -> None:
    async with connection.transaction():
        for role, privilege in found - wanted:
            await connection.execute(f"{prefix}revoke {privilege} on {grant_on} from {role}")
        for role, privilege in wanted - found:
            await connection.execute(f"{prefix}grant {privilege} on {grant_on} to {role}")


def _unlike(found: set[Right], wanted: set[Right]) -> str:
    """What is too much and what is lacking; nothing when they are the same."""
    excess, lack = _listed(found - wanted), _listed(wanted - found)
    parts = (f"too much: {excess}" if excess else "", f"lacking: {lack}" if lack else "")
    return "; ".join(filter(None, parts))


def _listed(rights: Iterable[Right]) -> str:
    return ", ".join(f"{role} {privilege}" for role, privilege in sorted(rights))


def _acl(*, catalog: str, acl: str, kind: str, owner_column: str, where: str) -> str:
    """The rights of everybody but the owner on one object."""
    return f"""
        select case grantee when 0 then '{_NOBODY}' else grantee::regrole::text end, privilege_type
          from {catalog}, aclexplode(coalesce({acl}, acldefault('{kind}', {owner_column})))
         where {where} and grantee <> {owner_column}
        """  # noqa: S608 — literals of this module


_DATABASE = _acl(catalog="pg_database", acl="datacl", kind="d", owner_column="datdba", where="datname = $1")
_SCHEMA = _acl(catalog="pg_namespace", acl="nspacl", kind="n", owner_column="nspowner", where="nspname = $1")
_RELATION = _acl(catalog="pg_class", acl="relacl", kind="r", owner_column="relowner", where="oid = $1::regclass")
# Tables, views and sequences of a schema.
_RELATIONS = """
    select case relkind when 'S' then 'sequence' else 'table' end, relname
      from pg_class where relnamespace = to_regnamespace($1) and relkind in ('r', 'p', 'v', 'm', 'f', 'S')
     order by relname
    """
# What new tables (r) or sequences (S) of an owner grant in a schema.
_DEFAULTS = f"""
    select case grantee when 0 then '{_NOBODY}' else grantee::regrole::text end, privilege_type
      from pg_default_acl, aclexplode(defaclacl)
     where defaclrole = to_regrole($1) and defaclnamespace = to_regnamespace($2) and defaclobjtype::text = $3
       and grantee <> defaclrole
    """  # noqa: S608
