"""What the code of some modules must not do, though they may import what it takes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from tests.architecture.sources import modules

_CLOCKLESS = (
    "services/*/domain.py",
    "services/*/scoring.py",
    "services/*/allocation.py",
    "services/*/assignment.py",
    "shared/contracts/*.py",
)
_NOW = {"now", "utcnow", "today"}


def clocks_in_the_domain(root: Path) -> list[str]:
    """Readings of the wall clock where the instant is an argument."""
    return [
        f"{path}:{line} reads the clock: {what}"
        for path, module in modules(root, "services", "shared/contracts")
        if any(PurePosixPath(path).match(pattern) for pattern in _CLOCKLESS)
        for line, what in _clocks(module)
    ]


def _clocks(module: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(module):
        match node:
            case ast.Attribute(attr=attr) if attr in _NOW:
                yield node.lineno, ast.unparse(node)
            case ast.ImportFrom(module="time") | ast.Import(names=[ast.alias(name="time")]):
                yield node.lineno, ast.unparse(node)


def unsaved_publishing(root: Path) -> list[str]:
    """Calls of a broker's `publish` that name no stream: nobody would say whether the message was stored."""
    return [
        f"{path}:{node.lineno} publishes without stream="
        for path, module in modules(root, "services", "shared")
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and _publishes(node.func)
        if not any(keyword.arg == "stream" for keyword in node.keywords)
    ]


def _publishes(called: ast.expr) -> bool:
    match called:
        case ast.Attribute(attr="publish", value=publisher):
            return "broker" in ast.unparse(publisher).lower()
    return False
