"""`conecta events follow`: facts as lines, from a sequence or a time on, for ever; the end says where to go on from."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console

from shared.client import Client, ClientError, Followed, connected
from shared.contracts import FACTS, SERVICES
from shared.contracts.problems import text
from shared.contracts.wire import Problem
from shared.settings import ClientSettings

events = App(name="events", help="Facts, as services tell them.")
err = Console(stderr=True)

_WIRE = re.compile(r"pe\.conecta\.([a-z_]+)\.([a-z-]+)\.v\d+")


class UnreadablePosition(ValueError):  # noqa: N818 — the user's word
    """Neither a sequence nor a time."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which facts: the narrowest bus subject that has them all, and the pattern for the rest of the choice."""

    subject: str
    wanted: Callable[[str], bool]

    @classmethod
    def of(cls, pattern: str) -> Filter:
        """From `aid_calls`, `aid_calls.*`, `*.aid-*`, `aid-awarded` or a wire name."""
        if wire := _WIRE.fullmatch(pattern):
            return cls(f"conecta.evt.{wire[1]}.{wire[2]}.*", pattern.__eq__)
        if pattern in SERVICES:
            pattern = f"{pattern}.*"
        service, _, name = pattern.rpartition(".")
        service = service or "*"
        narrow = (token if not set(token) & set("*?[") else "*" for token in (service, name))
        subject = ".".join(("conecta.evt", *narrow))

        def wanted(kind: str) -> bool:
            found = _WIRE.fullmatch(kind)
            return found is not None and fnmatchcase(f"{found[1]}.{found[2]}", f"{service}.{name}")

        return cls(f"{subject}.*", wanted)

    def matches_any(self) -> bool:
        """Whether there is any fact that it lets through: a typing mistake would wait for ever."""
        return any(self.wanted(kind) for kind in FACTS)


@events.command
def follow(
    pattern: Annotated[str, Parameter(name="FILTER")] = "*.*",
    /,
    *,
    start: Annotated[
        str | None, Parameter(name="--from", help="A sequence (that one included) or a time (ISO 8601). Default: now.")
    ] = None,
    as_json: Annotated[bool, Parameter(name="--json", help="One JSON object a line.", negative="")] = False,
) -> None:
    """Facts as they happen, one a line, until Ctrl-C; FILTER like `aid_calls.*`, `aid-awarded` or a wire name."""
    chosen = Filter.of(pattern)
    if not chosen.matches_any():
        err.print(f"Ningún hecho se llama así: {pattern}. Los hay en docs/events.md.", markup=False)
        sys.exit(2)
    try:
        position = read_position(start)
    except UnreadablePosition:
        err.print(f"--from: ni un número ni una fecha: {start}", markup=False)
        sys.exit(2)
    try:
        asyncio.run(_print(chosen, position, as_json=as_json))
    except ClientError as error:
        err.print(text(Problem(code=error.code)), markup=False)
        sys.exit(3)


def read_position(start: str | None) -> int | datetime | None:
    """A sequence, a time (local if it names no zone), or None for now."""
    if start is None:
        return None
    if start.isdecimal():
        return int(start)
    try:
        return datetime.fromisoformat(start).astimezone()
    except ValueError:
        raise UnreadablePosition(start) from None


async def facts(client: Client, chosen: Filter, position: int | datetime | None) -> AsyncGenerator[Followed, None]:
    """The facts chosen, from a position on, for ever."""
    if isinstance(position, datetime):
        after = await client.last_before(position, subject=chosen.subject)
    else:
        after = await client.last_sequence() if position is None else max(0, position - 1)
    async with aclosing(client.follow(subject=chosen.subject, after=after)) as found:
        async for followed in found:
            if chosen.wanted(followed.type):
                yield followed


def as_line(followed: Followed, *, as_json: bool) -> str:
    """Sequence, local time, name and what it says."""
    said = followed.fact.model_dump(mode="json") if followed.fact else None
    if as_json:
        told = {
            "sequence": followed.sequence,
            "type": followed.type,
            "id": str(followed.fact_id),
            "time": followed.at.isoformat(),
            "data": said,
        }
        return json.dumps(told, ensure_ascii=False)
    name = followed.type.removeprefix("pe.conecta.")
    body = "(tipo desconocido)"
    if said is not None:
        body = "  ".join(f"{field}={json.dumps(value, ensure_ascii=False)}" for field, value in said.items())
    return f"{followed.sequence:>8}  {followed.at.astimezone():%d/%m %H:%M:%S}  {name}  {body}"


async def _print(chosen: Filter, position: int | datetime | None, *, as_json: bool) -> None:
    """Until the reader goes away, or Ctrl-C, which ends without a trace."""
    loop, last = asyncio.get_running_loop(), 0
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 — for the type checker: this is one
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        async with (
            connected(ClientSettings(instance=f"follow{os.getpid()}")) as client,
            aclosing(facts(client, chosen, position)) as found,
        ):
            async for followed in found:
                sys.stdout.write(as_line(followed, as_json=as_json) + "\n")
                sys.stdout.flush()
                last = followed.sequence
    except (asyncio.CancelledError, BrokenPipeError):
        if last:
            err.print(f"Para seguir: conecta events follow --from {last + 1}", markup=False)
