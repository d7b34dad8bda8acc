"""The mail server is away, slow, dies with mails that it has taken and not acknowledged."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults.case import Fault, suffer
from tests.faults.ground import Ground
from tests.faults.season import Season
from tests.faults.test_kills import IN_FLIGHT


@pytest.mark.faults
async def test_the_mail_server_is_away(ground: Ground, seed: int) -> None:
    async def away(ground: Ground, _: Season) -> None:
        await ground.stack.supervisor.stop("mailbox")
        await asyncio.sleep(5)  # the outage
        await ground.stack.supervisor.start("mailbox")

    await suffer(ground, "SMTP away 5 s", away, seed=seed, within=40)


@pytest.mark.faults
async def test_the_mail_server_is_killed(ground: Ground, seed: int) -> None:
    async def kill(ground: Ground, _: Season) -> None:
        await ground.stack.supervisor.kill("mailbox")
        await ground.stack.supervisor.wait_ready("mailbox")

    await suffer(ground, "kill -9 SMTP", kill, seed=seed, victims={"mailbox"}, resent=IN_FLIGHT, within=60)


def misbehaves(kind: str, times: int, seconds: float) -> Fault:
    async def fault(ground: Ground, _: Season) -> None:
        await ground.mailbox("POST", "/api/fault", {"kind": kind, "times": times, "seconds": seconds})
        async with asyncio.timeout(60):
            while (await ground.mailbox("GET", "/api/fault"))["faults"]:  # noqa: ASYNC110 — another process uses them up
                await asyncio.sleep(0.05)

    return fault


@pytest.mark.faults
@pytest.mark.parametrize(
    ("kind", "times", "seconds", "resent"),
    [("slow", 8, 3, 0), ("drop-before-data", 8, 0, 0), ("drop-after-data", 3, 0, 3)],
)
async def test_the_mail_server_misbehaves(
    ground: Ground, seed: int, kind: str, times: int, seconds: float, resent: int
) -> None:
    fault = misbehaves(kind, times, seconds)
    await suffer(ground, f"SMTP {kind} ×{times}", fault, seed=seed, resent=resent, within=90)
