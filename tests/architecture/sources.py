"""What the checks read: the source files of a tree, and the texts in them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
SERVICES = ("registration", "aid_calls", "evaluation", "notifications")
PACKAGES = ("services", "shared", "clients", "deploy")

_SQL = re.compile(
    r"""\s*(
        with\s+(recursive\s+)?\w+\s*(\([^)]*\)\s*)?as\s
      | select\s+(.*\sfrom\s | \w+\s*\( | \d)
      | insert\s+into\s
      | update\s+\S+\s+(as\s+)?(\w+\s+)?set\s
      | delete\s+from\s
      | (merge\s+into | truncate) \s
      | (create | alter | drop)\s+(or\s+replace\s+)?(unique\s+)?
        (role | user | schema | database | table | index | view | function | trigger | sequence | extension)\s
      | (grant | revoke)\s.*\s(to | from)\s
    )""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)


class Found(NamedTuple):
    """A piece of a source file, and where it stands (`services/aid_calls/store.py:12`)."""

    place: str
    text: str


def modules(root: Path, *folders: str) -> Iterator[tuple[str, ast.Module]]:
    """Every module in these folders, as its path from the root and its syntax tree."""
    for folder in folders:
        for file in sorted((root / folder).rglob("*.py")):
            yield file.relative_to(root).as_posix(), _parsed(file.read_text(encoding="utf-8"))


# The same files are read for each planted violation.
@cache
def _parsed(source: str) -> ast.Module:
    return ast.parse(source)


def statements(root: Path, *folders: str) -> Iterator[Found]:
    """Every text of SQL written in the modules of these folders; what f-strings fill in stands in braces."""
    for path, module in modules(root, *folders):
        yield from (Found(f"{path}:{line}", sql) for line, sql in _statements(module))


def without_comments(sql: str) -> str:
    """The same SQL, all on one line."""
    return " ".join(re.sub(r"--[^\n]*", " ", sql).split())


@cache
def _statements(module: ast.Module) -> tuple[tuple[int, str], ...]:
    return tuple((line, without_comments(text)) for line, text in _texts(module) if _SQL.match(text))


def _texts(module: ast.Module) -> Iterator[tuple[int, str]]:
    nodes = list(ast.walk(module))
    told = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}  # docstrings
    told |= {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    for node in nodes:
        match node:
            case ast.JoinedStr():
                yield node.lineno, "".join(_part(value) for value in node.values)
            case ast.Constant(value=str(text)) if id(node) not in told:
                yield node.lineno, text


def _part(value: ast.expr) -> str:
    match value:
        case ast.Constant():
            return str(value.value)
        case ast.FormattedValue():
            return f"{{{ast.unparse(value.value)}}}"
    return ast.unparse(value)
