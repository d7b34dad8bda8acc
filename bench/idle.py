"""`idle` and `start`: what the system costs with nothing to do, and how long it takes to be ready."""

from __future__ import annotations

import asyncio
from time import monotonic

from bench.figures import Figure, alone, at_most
from bench.ground import Ground
from bench.host import cpu_seconds, resident_mib
from shared.contracts import SERVICES

PROGRAMS = ("postgres", "nats", "mailbox", *SERVICES)


async def idle(ground: Ground, *, seconds: float) -> list[Figure]:
    """CPU of everything in per cent of a core, and the memory of each program."""
    pids = ground.pids(*PROGRAMS)
    cpu, began = cpu_seconds(pids), monotonic()
    await asyncio.sleep(seconds)  # the measurement itself
    percent = 100 * (cpu_seconds(pids) - cpu) / (monotonic() - began)
    memory = [
        alone(f"idle-memory-{name}", resident_mib(pid), unit="MiB") for name, pid in zip(PROGRAMS, pids, strict=True)
    ]
    return [alone("idle", percent, unit="% of a core", bound=at_most(2)), *memory]


def start(ground: Ground) -> list[Figure]:
    """Seconds from nothing at all to ready: clusters and keys made, provisioned, services started."""
    return [alone("start", ground.started_in, unit="s")]
