"""A mail server in C that takes everything: Debian's smtp-sink (postfix) where it is installed, else our own sink.c."""

from __future__ import annotations

import asyncio
import shutil
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.embedded.ports import HOST
from deploy.embedded.probes import connection

_SOURCE = Path(__file__).with_name("sink.c")


class NoSink(Exception):  # noqa: N818
    """Neither smtp-sink nor a C compiler is on this machine."""


@asynccontextmanager
async def sink(port: int) -> AsyncIterator[str]:
    """A sink on this port as long as the block lasts; which one it is."""
    with TemporaryDirectory() as directory:
        found = shutil.which("smtp-sink", path="/usr/sbin:/usr/local/sbin:/usr/bin")
        command = [found, f"{HOST}:{port}", "128"] if found else [await _compiled(Path(directory)), str(port)]
        process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
        try:
            await _listening(port)
            yield "smtp-sink" if found else "bench/sink.c"
        finally:
            process.terminate()
            await process.wait()


async def _compiled(directory: Path) -> str:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise NoSink("install postfix (for smtp-sink) or a C compiler")
    program = str(directory / "sink")
    process = await asyncio.create_subprocess_exec(compiler, "-O2", "-o", program, str(_SOURCE))
    if await process.wait() != 0:
        raise NoSink("sink.c could not be compiled")
    return program


async def _listening(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                async with connection(HOST, port) as (reader, _):
                    await reader.readline()
            except OSError:
                await asyncio.sleep(0.02)  # between two looks
            else:
                return
