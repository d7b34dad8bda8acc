"""A full disk under PostgreSQL, and under JetStream: nothing accepted is lost.

PostgreSQL needs nothing but room. JetStream of nats-server 2.15.1 goes on refusing until it is started again.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from tests.faults.case import Fault, suffer
from tests.faults.ground import Ground, prepared
from tests.faults.season import Season

MEGABYTE = 1 << 20


@contextmanager
def small_disk(directory: Path, *, megabytes: int) -> Iterator[None]:
    """A directory's content on a file system of that size; skips the test where that may not be made."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    kept = directory.with_name(f"{directory.name}.kept")
    directory.rename(kept)
    directory.mkdir(mode=0o700)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", directory], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"no small file system: {mounted.stderr.decode().strip()}")
    try:
        subprocess.run(["cp", "-a", f"{kept}/.", directory], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)


@asynccontextmanager
async def on_a_small_disk(directory: Path, part: str, *, seed: int) -> AsyncIterator[Ground]:
    """A system one of whose servers has little room."""
    async with prepared(directory, seed=seed):
        pass  # make everything, then move it
    with small_disk(directory / "data" / part, megabytes=256):
        async with prepared(directory, seed=seed) as ground:
            yield ground


def fills_up(part: str, noticed: Callable[[Ground], bool]) -> Fault:
    """No byte is left until somebody has noticed, and a while longer."""

    async def fault(ground: Ground, _: Season) -> None:
        filler = ground.stack.directory / part / "filler"
        await asyncio.to_thread(_fill, filler)
        async with asyncio.timeout(60):
            while not noticed(ground):  # noqa: ASYNC110 — another process writes it
                await asyncio.sleep(0.1)
        await asyncio.sleep(5)  # the outage
        filler.unlink()

    return fault


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(b"\0" * MEGABYTE):
                pass
            while file.write(b"\0" * 512):
                pass
        except OSError:
            return  # full


@pytest.mark.faults
async def test_the_disk_of_postgresql_is_full(tmp_path: Path, seed: int) -> None:
    async with on_a_small_disk(tmp_path, "postgres", seed=seed) as ground:

        def noticed(ground: Ground) -> bool:
            logs = ground.stack.directory / "logs"
            return any("No space left" in (logs / name).read_text() for name in ("postgres.log",))

        fault = fills_up("postgres", noticed)
        await suffer(ground, "disk of postgres full", fault, seed=seed, open_for=20, within=60, victims=None)


@pytest.mark.faults
async def test_the_disk_of_jetstream_is_full(tmp_path: Path, seed: int) -> None:
    async with on_a_small_disk(tmp_path, "nats", seed=seed) as ground:

        def noticed(ground: Ground) -> bool:
            return "no space left" in (ground.stack.directory / "logs" / "nats.log").read_text()

        fills = fills_up("nats", noticed)

        async def fault(ground: Ground, season: Season) -> None:
            await fills(ground, season)
            await ground.stack.supervisor.stop("nats")
            await ground.stack.supervisor.start("nats")

        await suffer(ground, "disk of nats full", fault, seed=seed, open_for=20, within=60, victims=None)
