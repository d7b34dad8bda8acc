"""What the tests of the embedded runtime share: waiting for a condition, looking at processes, other users."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

ORDINARY = "nobody"


async def wait_until(condition: Callable[[], bool], *, seconds: float = 10) -> None:
    """Wait for a condition of the outside world."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (the outside world sets no event)
            await asyncio.sleep(0.01)


def process_lives(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.fixture(scope="session")
def until() -> Callable[..., Awaitable[None]]:
    """Wait for a condition."""
    return wait_until


@pytest.fixture(scope="session")
def lives() -> Callable[[int], bool]:
    """Tell whether a process lives."""
    return process_lives


@pytest.fixture
def ordinary_python() -> list[str]:
    """A command that runs our Python as an ordinary user; the test is skipped if there is no way to."""
    if os.geteuid() != 0:
        return [sys.executable]
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("NOT TESTED AS AN ORDINARY USER: we are root, and there is no setpriv to become another")
    become = [setpriv, f"--reuid={ORDINARY}", "--regid=nogroup", "--clear-groups", "--"]
    for python in (sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"):
        command = [*become, python]
        if _imports(command):
            return command
    pytest.skip(
        f"NOT TESTED AS AN ORDINARY USER: {ORDINARY} can run no Python of this version (root's home is private)"
    )


@pytest.fixture
def ordinary_environment() -> dict[str, str]:
    """With it that Python finds what ours finds."""
    return {"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture
def ordinary_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that the ordinary user can write in: pytest's own are below one that is private to us."""
    if os.geteuid() != 0:
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix="conecta-test-", dir="/tmp"))
    shutil.chown(folder, ORDINARY)
    yield folder
    shutil.rmtree(folder)


def _imports(command: list[str]) -> bool:
    environment = {"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"}
    probe = [*command, "-c", "import asyncpg, uvicorn, aiosmtpd, deploy.embedded"]
    try:
        return subprocess.run(probe, check=False, capture_output=True, cwd="/", env=environment).returncode == 0
    except PermissionError:
        return False
