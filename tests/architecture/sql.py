"""Where SQL may stand, and which schema it may name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from tests.architecture.sources import PACKAGES, SERVICES, statements, without_comments

_PLACES = (
    "services/*/store.py",
    "services/*/queries.py",
    "shared/db.py",
    "shared/journal.py",
    "shared/relay.py",
    "shared/messaging/bookkeeping.py",
    "deploy/provision/*.py",
    "deploy/operate/journals.py",
)

_TABLE = re.compile(
    r"\b(from|join|into|update|using)\s+(?:lateral\s+|only\s+)?(?!set\b|skip\b|nowait\b|of\b)"
    r"([\w.{}\"\[\]']+)(\s*\()?",
    re.IGNORECASE,
)
_NAMED_HERE = re.compile(r"\b(\w+)\s*(?:\([^()]*\))?\s+as\s+(?:not\s+)?(?:materialized\s+)?\(", re.IGNORECASE)
# `from` that names no table: a is distinct from b, extract(epoch from c), substring(d from 2).
_OTHER_FROM = re.compile(r"\bdistinct\s+from\b|\b(?:extract|substring|trim|overlay)\s*\([^()]*\)", re.IGNORECASE)


def sql_out_of_place(root: Path) -> list[str]:
    """Statements in modules other than those that are there for them."""
    return [
        f"{found.place} has SQL: {found.text[:60]}"
        for found in statements(root, *PACKAGES)
        if not any(PurePosixPath(found.place.split(":")[0]).match(place) for place in _PLACES)
    ]


def foreign_tables(root: Path) -> list[str]:
    """Names of tables, in the SQL of a service, that are neither `<service>.<table>` nor PostgreSQL's own (pg_…)."""
    return [
        f"{found.place} names {table}"
        for service in SERVICES
        for found in statements(root, f"services/{service}")
        for table in _tables(found.text)
        if not table.startswith((f"{service}.", "pg_"))
    ]


def foreign_schemas_in_migrations(root: Path) -> list[str]:
    """Schemas of other services named in the migrations of one, or of any in the foundation."""
    folders = {f"services/{service}/migrations": {*SERVICES} - {service} for service in SERVICES}
    return [
        f"{file.relative_to(root).as_posix()} names {other}"
        for folder, others in {**folders, "shared/migrations": {*SERVICES}}.items()
        for file in sorted((root / folder).glob("*.sql"))
        for other in sorted(others)
        if re.search(rf"\b{other}\s*\.", without_comments(file.read_text(encoding="utf-8")), re.IGNORECASE)
    ]


def _tables(sql: str) -> Iterator[str]:
    named_here = {name.lower() for name in _NAMED_HERE.findall(sql)}
    for keyword, name, parenthesis in _TABLE.findall(_OTHER_FROM.sub(" ", sql)):
        function = parenthesis and keyword.lower() not in {"into", "update"} and "." not in name
        if not function and name.lower() not in named_here:
            yield name
