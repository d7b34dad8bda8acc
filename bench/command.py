"""`conecta bench`: measures what is asked for on embedded stacks of its own, and prints one table."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from bench import figures, host
from bench.fanout import fanout
from bench.figures import Figure
from bench.ground import Ground, ground
from bench.growth import growth
from bench.idle import idle, start
from bench.paced import paced
from bench.receipts import receipts
from bench.rushes import rushes

err = Console(stderr=True)

DEFAULT_SYNC = "2m"  # nats-server's own


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """How much is measured: of the short run for daily use, or of the long one."""

    rounds: int
    receipts: int
    backlog: int
    seconds: float
    idle: float
    people: int
    mails: int
    stored: tuple[int, ...]


SHORT = Length(rounds=2, receipts=6_000, backlog=6_000, seconds=5, idle=8, people=100_000, mails=2_000, stored=())
LONG = Length(
    rounds=5,
    receipts=20_000,
    backlog=50_000,
    seconds=20,
    idle=60,
    people=100_000,
    mails=40_000,
    stored=(10_000, 1_000_000, 5_000_000),
)

Measure = Callable[[Ground, Length], Awaitable[list[Figure]]]


async def _start(place: Ground, _: Length) -> list[Figure]:
    return start(place)


async def _idle(place: Ground, length: Length) -> list[Figure]:
    return await idle(place, seconds=length.idle)


async def _receipts(place: Ground, length: Length) -> list[Figure]:
    return await receipts(place, number=length.receipts, rounds=length.rounds)


async def _rushes(place: Ground, length: Length) -> list[Figure]:
    return await rushes(place, number=length.backlog, rounds=length.rounds)


async def _latency_100(place: Ground, length: Length) -> list[Figure]:
    return await paced(place, rate=100, seconds=2 * length.seconds, rounds=length.rounds, cpu=False)


async def _latency_1000(place: Ground, length: Length) -> list[Figure]:
    return await paced(place, rate=1000, seconds=length.seconds, rounds=length.rounds, cpu=False)


async def _cpu_500(place: Ground, length: Length) -> list[Figure]:
    return await paced(place, rate=500, seconds=length.seconds, rounds=length.rounds, cpu=True)


async def _fanout(place: Ground, length: Length) -> list[Figure]:
    return await fanout(place, people=length.people, mails=length.mails, rounds=length.rounds)


async def _growth(place: Ground, length: Length) -> list[Figure]:
    if not length.stored:
        return []
    return await growth(place, stored=length.stored, number=10_000, rounds=length.rounds)


async def _receipts_default(place: Ground, length: Length) -> list[Figure]:
    return await receipts(place, number=length.receipts, rounds=length.rounds, suffix="-default-sync")


async def _rushes_default(place: Ground, length: Length) -> list[Figure]:
    return await rushes(place, number=length.backlog, rounds=length.rounds, naive=False, suffix="-default-sync")


# In the order of the run: what each measures together, by the names of its figures.
MEASURES: dict[str, Sequence[tuple[tuple[str, ...], Measure]]] = {
    "always": (
        (("start",), _start),
        (("idle",), _idle),
        (("receipts",), _receipts),
        (("latency-100-p50", "latency-100-p99"), _latency_100),
        (("latency-1000-p50", "latency-1000-p99"), _latency_1000),
        (("cpu-500",), _cpu_500),
        (("end-to-end", "end-to-end-over-naive", "cpu-rush"), _rushes),
        (("fanout-owed", "fanout-sent"), _fanout),
        (("growth",), _growth),
    ),
    DEFAULT_SYNC: (
        (("receipts-default-sync",), _receipts_default),
        (("end-to-end-default-sync", "cpu-rush-default-sync"), _rushes_default),
    ),
}


def bench(
    *,
    short: Annotated[bool, Parameter(help="Under three minutes: fewer and smaller rounds.")] = False,
    only: Annotated[list[str] | None, Parameter(help="Only these figures, by their names or how those begin.")] = None,
    json_out: Annotated[Path | None, Parameter(name="--json", help="Write the figures here as well.")] = None,
) -> None:
    """Measure what the foundation can do, each figure beside a raw limit measured in the same run."""
    machine = host.machine()
    found, settings = asyncio.run(_measure(SHORT if short else LONG, only or []))
    figures.show(Console(), found, machine=machine, settings=settings)
    if json_out is not None:
        figures.write(json_out, found, machine=machine, settings=settings)


async def _measure(length: Length, only: Sequence[str]) -> tuple[list[Figure], dict[str, Any]]:
    found: list[Figure] = []
    settings: dict[str, Any] = {"run": "short" if length is SHORT else "long", **host.packages()}
    for sync_interval, measures in MEASURES.items():
        wanted = [measure for names, measure in measures if _asked_for(names, only)]
        if not wanted:
            continue
        directory = Path(tempfile.mkdtemp(prefix="conecta-bench-"))
        try:
            async with ground(directory, sync_interval=sync_interval) as place:
                settings |= await _settings(place)
                for measure in wanted:
                    for figure in await measure(place, length):
                        beside = "" if figure.raw is None else f" (raw {figure.raw:,g}, ratio {figure.ratio})"
                        err.print(f"{figure.name}: {figure.value:,g} {figure.unit}{beside}", highlight=False)
                        found.append(figure)
        finally:
            shutil.rmtree(directory)
    return [one for one in found if not only or one.name.startswith(tuple(only))], settings


def _asked_for(names: Sequence[str], only: Sequence[str]) -> bool:
    return not only or any(name.startswith(tuple(only)) for name in names)


async def _settings(place: Ground) -> dict[str, Any]:
    names = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size")
    rows = await place.superuser.fetch("select name, setting from pg_settings where name = any($1)", list(names))
    return {
        "nats-server": str(place.bus.connected_server_version),
        **{row["name"].replace("server_version", "postgresql"): row["setting"] for row in rows},
        "sync_interval": "always; -default-sync: 2m, nats-server's own",
        "batch": 256,
    }
