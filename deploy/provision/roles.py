"""PostgreSQL's roles: per service one that logs in and has only rights on rows, and one that owns its schema.

Nobody logs in as an owner; migrations are carried out as it (`SET ROLE`).
"""

from __future__ import annotations

from typing import Any

from deploy.provision.administration import DATABASE, Connection
from deploy.provision.report import MISSING, Report, difference
from deploy.provision.scram import matches, verifier
from deploy.provision.secrets import Secrets
from shared.contracts import SERVICES

# Three replicas with a pool of 8 and a relay each (27), and a little for a rolling restart.
CONNECTIONS = 30
_NEVER = {
    "rolsuper": False,
    "rolcreatedb": False,
    "rolcreaterole": False,
    "rolinherit": False,
    "rolreplication": False,
    "rolbypassrls": False,
}
_BARE = "nosuperuser nocreatedb nocreaterole noinherit noreplication nobypassrls"


def owner(service: str) -> str:
    """The role that owns a service's schema and everything in it."""
    return f"{service}_owner"


async def settle_roles(connection: Connection, secrets: Secrets, report: Report) -> None:
    """Make or mend both roles of every service."""
    for service in SERVICES:
        await _settle_role(
            connection,
            owner(service),
            {"rolcanlogin": False, "rolconnlimit": -1},
            "nologin connection limit -1",
            report,
        )
        await _settle_role(
            connection,
            service,
            {"rolcanlogin": True, "rolconnlimit": CONNECTIONS},
            f"login connection limit {CONNECTIONS}",
            report,
        )
        await _settle_password(connection, service, secrets.password(service), report)
        for role in (owner(service), service):
            await _settle_membership(connection, role, report)


async def settle_settings(connection: Connection, report: Report) -> None:
    """Make or mend what every session of a service starts with, in our database."""
    for service in SERVICES:
        wanted = session_settings(service)
        found = await _session_settings(connection, service)

        async def mend(service: str = service, wanted: dict[str, str] = wanted) -> None:
            async with connection.transaction():
                place = f"alter role {service} in database {DATABASE}"
                await connection.execute(f"{place} reset all")
                for name, value in wanted.items():
                    await connection.execute(f"{place} set {name} to '{value}'")

        await report.settle(f"session settings of {service}", difference(wanted, found) if found else MISSING, mend)


def session_settings(service: str) -> dict[str, str]:
    """Work ends before a message's `ack_wait` does, and nothing holds back vacuum for long (rules 6 and 26)."""
    return {
        "search_path": service,
        "timezone": "UTC",
        "statement_timeout": "8s",
        "lock_timeout": "5s",
        "idle_in_transaction_session_timeout": "30s",
        "transaction_timeout": "60s",
    }


async def _settle_role(connection: Connection, role: str, own: dict[str, Any], options: str, report: Report) -> None:
    wanted = _NEVER | own
    # The attributes of a role, apart from its password.
    found = await connection.fetchrow(f"select {', '.join(wanted)} from pg_roles where rolname = $1", role)  # noqa: S608

    async def mend() -> None:
        await connection.execute(f"{'create' if found is None else 'alter'} role {role} with {_BARE} {options}")

    await report.settle(f"role {role}", MISSING if found is None else difference(wanted, dict(found)), mend)


async def _settle_password(connection: Connection, role: str, password: str, report: Report) -> None:
    # What the server has stored to check the role's password against; only a superuser may read it.
    stored = await connection.fetchval("select rolpassword from pg_authid where rolname = $1", role)

    async def mend() -> None:
        await connection.execute(f"alter role {role} with password '{verifier(password)}' valid until 'infinity'")

    wrong = "" if matches(stored, password) else MISSING if stored is None else "not the one in the secrets"
    await report.settle(f"password of {role}", wrong, mend)


async def _settle_membership(connection: Connection, role: str, report: Report) -> None:
    # The roles whose rights this one could take on.
    rows = await connection.fetch(
        "select roleid::regrole::text as granted from pg_auth_members where member = to_regrole($1) order by 1",
        role,
    )
    granted = [row["granted"] for row in rows]

    async def mend() -> None:
        await connection.execute(f"revoke {', '.join(granted)} from {role}")

    if granted:
        await report.settle(f"role {role}", f"is a member of {', '.join(granted)}", mend)


async def _session_settings(connection: Connection, role: str) -> dict[str, str]:
    # What was set for the role in our database, as name=value.
    found = await connection.fetchval(
        """
        select setconfig from pg_db_role_setting
         where setrole = to_regrole($1) and setdatabase = (select oid from pg_database where datname = $2)
        """,
        role,
        DATABASE,
    )
    pairs = (entry.split("=", 1) for entry in found or [])
    return {name.lower(): value for name, value in pairs}
