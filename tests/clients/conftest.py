"""Fixtures of the clients' tests: a running system, and `conecta` as its users type it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest

from deploy.embedded.stack import Options, Stack, running


class Ended(NamedTuple):
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str


Conecta: TypeAlias = Callable[..., Coroutine[None, None, Ended]]


@pytest.fixture(scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """The whole system, shared by the tests of what a client does with it."""
    options = Options(sync_interval="2m")
    async with running(tmp_path_factory.mktemp("clients"), options=options, handle_signals=False) as stack:
        yield stack


async def conecta(*arguments: str | Path, data: Path, **environment: str) -> Ended:
    """Run `conecta` where this data directory is the local system's; the environment has no other settings."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CONECTA_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.cli"),
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**inherited, "CONECTA_DATA": str(data), **environment},
    )
    out, err = await process.communicate()
    return Ended(process.returncode or 0, out.decode(), err.decode())
