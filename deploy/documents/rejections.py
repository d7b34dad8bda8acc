"""With which codes a service may reject a command, read from its code: what its handler leads to in its package.

Follows names to functions and classes of the service's own modules, and collects the codes of problems made there.
It may name a code too many, where two commands share a function; it misses none that is written as a literal.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

_CODE = re.compile("[a-z0-9]+(-[a-z0-9]+)*")
# What any command may be rejected with besides codes of its shape: by shared/messaging/commands.py, or an operator.
OF_ANY_COMMAND = frozenset({"discarded", "invalid-character", "not-allowed"})

_Place = tuple[str, str]  # module of the service, function or class


def rejections(handler: Any) -> tuple[str, ...]:
    """The codes that a command's handler may reject it with, in alphabetical order."""
    package, _, module = handler.__module__.rpartition(".")
    nodes, names = _package(package)
    seen: set[_Place] = set()
    waiting: list[_Place] = [(module, handler.__name__)]
    codes: set[str] = set()
    while waiting:
        place = waiting.pop()
        if place in seen or place not in nodes:
            continue
        seen.add(place)
        codes.update(_codes(nodes[place], named=place[1]))
        waiting += _led_to(nodes[place], place[0], names[place[0]])
    return tuple(sorted(codes))


@cache
def _package(package: str) -> tuple[dict[_Place, ast.AST], dict[str, dict[str, _Place]]]:
    """The functions and classes of a service, and what names mean in each of its modules."""
    folder = Path(str(inspect.getsourcefile(_module(package)))).parent
    trees = {file.stem: ast.parse(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.py"))}
    nodes: dict[_Place, ast.AST] = {
        (module, node.name): node
        for module, tree in trees.items()
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    return nodes, {module: _imported(tree, package) for module, tree in trees.items()}


def _module(name: str) -> ModuleType:
    return import_module(name)


def _imported(tree: ast.Module, package: str) -> dict[str, _Place]:
    """Names that an import binds: to a module of the service (no function), or to something in one."""
    found: dict[str, _Place] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and f"{node.module}.".startswith(f"{package}."):
            inside = node.module.removeprefix(package).removeprefix(".")
            for name in node.names:
                found[name.asname or name.name] = (inside, name.name) if inside else (name.name, "")
    return found


def _led_to(node: ast.AST, module: str, names: dict[str, _Place]) -> Iterator[_Place]:
    for one in ast.walk(node):
        match one:
            case ast.Name(id=name):
                yield names.get(name, (module, name))
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if names.get(owner, ("", "?"))[1] == "":
                yield names[owner][0], name


def _codes(node: ast.AST, *, named: str) -> Iterator[str]:
    for one in ast.walk(node):
        match one:
            case ast.Call(func=ast.Name(id="refused"), args=[code, *_]):
                yield from _literals(code)
            case ast.Call(func=ast.Name(id="Problem"), keywords=keywords):
                for keyword in keywords:
                    if keyword.arg == "code":
                        yield from _literals(keyword.value)
            case ast.Return(value=ast.expr() as value) if "problem" in named:
                yield from _literals(value)


def _literals(expression: ast.expr) -> Iterator[str]:
    match expression:
        case ast.Constant(value=str(text)) if _CODE.fullmatch(text):
            yield text
        case ast.IfExp(body=one, orelse=other):
            yield from (*_literals(one), *_literals(other))
        case ast.BoolOp(values=values):
            for value in values:
                yield from _literals(value)
