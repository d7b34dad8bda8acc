"""The machine, the versions, and what processes cost: CPU seconds and resident memory from /proc."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PACKAGES = ("nats-py", "asyncpg", "faststream", "pydantic", "uvloop", "aiosmtplib")


def machine() -> dict[str, Any]:
    """What this was measured on, and how busy it was with other things."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * _PAGE / 2**30, 1),
        "kernel": platform.release(),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
    }


def packages() -> dict[str, str]:
    """Versions of the libraries on the hot path."""
    return {name: version(name) for name in _PACKAGES}


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU time of processes and of their children, those that have ended included."""
    return sum(_cpu_of(pid) for pid in family(pids))


def resident_mib(pid: int) -> float:
    """Resident memory of a process and its children that is not shared with others, plus its share of the rest."""
    return round(sum(_pss_kib(one) for one in family([pid])) / 1024, 1)


def family(pids: Iterable[int]) -> set[int]:
    """Processes and all their descendants."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        if fields := _stat(stat):
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, left = set(), list(pids)
    while left:
        pid = left.pop()
        found.add(pid)
        left += children.get(pid, [])
    return found


def _cpu_of(pid: int) -> float:
    fields = _stat(Path(f"/proc/{pid}/stat"))
    # utime, stime, and cutime, cstime of children that were waited for
    return sum(int(field) for field in fields[11:15]) / _TICK if fields else 0.0


def _stat(path: Path) -> list[str]:
    """The fields after the command's name, from the state on; none if the process has ended."""
    try:
        return path.read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _pss_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
