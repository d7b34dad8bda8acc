"""Loaded by Python at start where a test put this folder on PYTHONPATH: faults inside a service, at chosen points.

CONECTA_TEST_KILL is `<module>:<class>.<method>:<before|after>:<marker file>`: the process is killed there, once.
CONECTA_FAULTS_ORDERS is a folder of orders that are looked up while the service runs: see `tests/faults/orders.py`.
"""

from __future__ import annotations

import builtins
import datetime as dt
import functools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

Arm = Callable[[Any, str], None]

# Module, path in it, what to do with it. Filled below by what the environment asks for.
_waiting: list[tuple[str, str, Arm]] = []
_import = builtins.__import__


def _importing(name: str, *args: Any, **kwargs: Any) -> Any:
    result = _import(name, *args, **kwargs)
    for one in [one for one in _waiting if _is_there(one[0], one[1])]:
        _waiting.remove(one)
        owner: Any = sys.modules[one[0]]
        *parents, last = one[1].split(".")
        for parent in parents:
            owner = getattr(owner, parent)
        one[2](owner, last)
    return result


def _is_there(module: str, path: str) -> bool:
    found: ModuleType | None = sys.modules.get(module)
    return found is not None and hasattr(found, path.split(".", maxsplit=1)[0])


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _kill_once(moment: str, marker: Path) -> Arm:
    """Killed before or after the method's first run that is not an empty round; the marker says that it happened."""

    def first(args: tuple[Any, ...]) -> bool:
        if marker.exists() or not args[-1]:
            return False
        marker.touch()
        return True

    return _around(lambda args, now: _die() if now == moment and first(args) else None)


def _around(act: Callable[[tuple[Any, ...], str], None]) -> Arm:
    def arm(owner: Any, name: str) -> None:
        method = getattr(owner, name)

        @functools.wraps(method)
        async def watched(*args: Any, **kwargs: Any) -> Any:
            act(args, "before")
            result = await method(*args, **kwargs)
            act(args, "after")
            return result

        setattr(owner, name, watched)

    return arm


# Where a service can be told to die, by the names that tests use.
_POINTS = {
    ("before-commit", "after"): ("shared.messaging.commands", "CommandWork.carry_out"),
    ("after-commit", "before"): ("shared.messaging.consumer", "Consumer._settle"),
    ("after-acknowledgement", "after"): ("shared.messaging.consumer", "Consumer._settle"),
    ("heard-before-commit", "after"): ("shared.messaging.facts", "FactWork.carry_out"),
    ("published", "before"): ("shared.relay", "Relay._forget"),
    ("noted", "after"): ("shared.relay", "Relay._forget"),
    ("mail-taken", "after"): ("services.notifications.smtp", "Line._text"),
}
# Modules whose clock can be set wrong: wherever a service asks for the time itself.
_CLOCKS = ("shared.service", "shared.messaging.commands", "services.notifications.smtp")


class _Orders:
    """What tests order a running service to suffer: files named `<service>.<order>`."""

    def __init__(self, folder: Path, service: str) -> None:
        self._folder = folder
        self._service = service

    def text(self, order: str) -> str:
        """What the order says; empty if there is none."""
        try:
            return (self._folder / f"{self._service}.{order}").read_text()
        except FileNotFoundError:
            return ""

    def obey(self, point: str) -> Callable[[tuple[Any, ...], str], None]:
        """Die at a point when that is ordered, and say so first."""
        moment = next(moment for name, moment in _POINTS if name == point)

        def act(args: tuple[Any, ...], now: str) -> None:
            of_commands = getattr(args[0], "stream", "COMMANDS") == "COMMANDS"
            if now == moment and of_commands and args[-1] and self.text("die") == point:
                order = self._folder / f"{self._service}.die"
                order.rename(order.with_suffix(".died"))
                _die()

        return act

    def wrong_clock(self, owner: Any, name: str) -> None:
        """A `datetime` that is as many seconds off as is ordered."""
        orders = self

        class Off(dt.datetime):
            @classmethod
            def now(cls, tz: dt.tzinfo | None = None) -> Any:
                return dt.datetime.now(tz) + dt.timedelta(seconds=float(orders.text("clock") or 0))

        setattr(owner, name, Off)

    def poisoned(self, owner: Any, name: str) -> None:
        """A function that cannot bear one application."""
        function = getattr(owner, name)

        @functools.wraps(function)
        def bitter(command: Any, **kwargs: Any) -> Any:
            if str(command.application_id) == self.text("poison"):
                raise ZeroDivisionError
            return function(command, **kwargs)

        setattr(owner, name, bitter)


def _hasty(owner: Any, name: str) -> None:
    """Ten attempts in seconds, where production takes half an hour."""
    setattr(owner, name, functools.partial(getattr(owner, name), delays=(0.1, 0.2, 0.3)))


if spec := os.environ.get("CONECTA_TEST_KILL"):
    module, path, moment, marker = spec.split(":", 3)
    _waiting.append((module, path, _kill_once(moment, Path(marker))))
if folder := os.environ.get("CONECTA_FAULTS_ORDERS"):
    orders = _Orders(Path(folder), os.environ["CONECTA_FAULTS_SERVICE"])
    _waiting += [(*place, _around(orders.obey(point))) for (point, _), place in _POINTS.items()]
    _waiting += [(module, "datetime", orders.wrong_clock) for module in _CLOCKS]
    _waiting.append(("services.aid_calls.domain", "application", orders.poisoned))
    _waiting.append(("shared.messaging.consumer", "Patience", _hasty))
if _waiting:
    builtins.__import__ = _importing
