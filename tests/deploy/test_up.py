"""`conecta up` as its user runs it: ready, refused twice on the same data, stopped by Ctrl-C, everything kept."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from deploy.embedded.probes import http_get
from deploy.provision import secrets
from shared.client import connected
from shared.contracts import SERVICES
from shared.contracts.aid_calls import Call, CallAnswer
from shared.settings import ClientSettings


async def started(*arguments: str | Path) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "deploy.cli", "up", *map(str, arguments), stdout=PIPE, stderr=PIPE
    )


@asynccontextmanager
async def up(data: Path, *arguments: str) -> AsyncIterator[tuple[dict[str, Any], Process]]:
    """A running `conecta up`, and its ready file; ended by Ctrl-C."""
    ready = data.with_suffix(".ready")
    process = await started("--data", data, "--ready-file", ready, "--sync-interval", "2m", *arguments)
    output = asyncio.create_task(process.communicate())
    try:
        async with asyncio.timeout(90):
            while not ready.exists():
                assert process.returncode is None, await output
                await asyncio.sleep(0.05)
        yield json.loads(ready.read_text()), process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await asyncio.wait_for(output, 60)
    assert process.returncode == 0


async def call_code(data: Path, places: dict[str, Any]) -> str:
    found = secrets.read(data / "secrets")
    settings = ClientSettings.model_validate(
        {
            "nats_urls": places["nats"],
            "nats_seed_file": found.seed_file("cli"),
            "instance": "up",
            "receipts_key_file": found.receipts_key_file("cli"),
        }
    )
    async with connected(settings) as client:
        return (await client.ask(Call(code="MOV-CUSCO-2019"), CallAnswer)).code


async def applications(places: dict[str, Any]) -> int:
    connection = await asyncpg.connect(places["postgres"])
    number: int = await connection.fetchval("select count(*) from aid_calls.applications")
    await connection.close()
    return number


async def test_up_is_ready_with_demo_data_keeps_it_and_is_alone_on_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with up(data, "--demo") as (places, process):
        assert set(places) >= {"nats", "postgres", "mailbox_http", "smtp", "health"}
        assert set(places["health"]) == set(SERVICES)
        for url in places["health"].values():
            assert (await http_get(url))[0] == 200
        assert await call_code(data, places) == "MOV-CUSCO-2019"
        assert await applications(places) == 60
        second = await started("--data", data)
        _, err = await second.communicate()
        assert second.returncode == 2
        assert str(process.pid) in err.decode()
        pids = places["pids"].values()
    assert [pid for pid in pids if alive(pid)] == []
    async with up(data, "--demo") as (places, _):  # the demo is not loaded twice
        assert await call_code(data, places) == "MOV-CUSCO-2019"
        assert await applications(places) == 60


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
