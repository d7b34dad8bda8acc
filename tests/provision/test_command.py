"""`conecta provision`, as the operator runs it: a process with its settings in the environment."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from tests.provision.conftest import Connect
from tests.servers import Installation

PROGRAM = "from deploy.provision.command import provision_app; provision_app()"


async def run(servers: Installation, *arguments: str, **changes: str) -> tuple[int, str, str]:
    settings = {f"CONECTA_{name.upper()}": str(value) for name, value in servers.provision_settings()}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, *arguments),
        env={**os.environ, **settings, **changes},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await process.communicate()
    return process.returncode or 0, out.decode(), error.decode()


async def test_it_tells_drift_by_its_exit_status_and_mends_it(servers: Installation, connect: Connect) -> None:
    status, out, error = await run(servers, "--check", "--as-json")
    found: dict[str, Any] = json.loads(out)
    total = len(found["findings"])
    assert (status, error, found["ok"]) == (0, "", True)
    bus = await connect("provision")
    await bus.client.request("$JS.API.CONSUMER.DELETE.COMMANDS.registration", timeout=5)
    right = f"{total - 1} of {total} were right already\n"
    assert await run(servers, "--check") == (1, f"drift   consumer COMMANDS.registration: missing\n{right}", "")
    assert await run(servers) == (0, f"created consumer COMMANDS.registration\n{right}", "")


async def test_it_says_on_stderr_why_it_cannot(servers: Installation) -> None:
    status, out, error = await run(servers, CONECTA_SECRETS_DIR="/nonexistent")
    assert (status, out) == (2, "")
    missing = "/nonexistent/postgres/registration.password is missing"
    assert error == f"provision: {missing}: make the secrets first, or mount them there\n"
