"""What provisioning found and did: per thing whether it was right, was made, was mended, or could not be.

Also the one place that decides between mending and, in check mode, only telling.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

MISSING = "missing"


class State(StrEnum):
    """How a thing was found, and left."""

    RIGHT = "right"
    CREATED = "created"
    MENDED = "mended"
    DRIFT = "drift"  # check mode: missing or different, and left so
    STUCK = "stuck"  # different, and cannot be changed in place


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing, how it is, and what was different."""

    what: str
    state: State
    detail: str = ""

    def __str__(self) -> str:
        """For people."""
        return f"{self.state:8}{self.what}{self.detail and f': {self.detail}'}"


class CannotMendError(Exception):
    """The server refuses the change; the message says why."""


class Report:
    """The findings of one run, in order."""

    def __init__(self, *, check: bool = False) -> None:
        self.check = check
        self.findings: list[Finding] = []

    async def settle(self, what: str, difference: str, mend: Callable[[], Awaitable[object]]) -> None:
        """Note that a thing is right (no difference), or mend it, or in check mode only note the difference."""
        self.findings.append(Finding(what, *await self._settled(difference, mend)))

    async def _settled(self, difference: str, mend: Callable[[], Awaitable[object]]) -> tuple[State, str]:
        if not difference:
            return State.RIGHT, ""
        if self.check:
            return State.DRIFT, difference
        try:
            await mend()
        except CannotMendError as error:
            return State.STUCK, f"{difference} ({error})"
        return (State.CREATED, "") if difference == MISSING else (State.MENDED, difference)

    def by(self, state: State) -> list[str]:
        """The things found in that state."""
        return [finding.what for finding in self.findings if finding.state is state]

    @property
    def ok(self) -> bool:
        """Whether everything is as it should be now."""
        return not self.by(State.DRIFT) and not self.by(State.STUCK)


def difference(wanted: Mapping[str, Any], actual: Mapping[str, Any]) -> str:
    """The fields in which two configurations differ, as text; none, false, empty are the same as absent."""
    changes = []
    for field in sorted({*wanted, *actual}):
        want, have = wanted.get(field), actual.get(field)
        if (want or have) and want != have:
            changes.append(f"{field} is {have!r}, not {want!r}")
    return ", ".join(changes)
