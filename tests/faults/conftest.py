"""One system for all cases, fresh after a case that failed; the table of what they came to."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.faults.case import RECORDED
from tests.faults.ground import Ground, prepared

HEADING = (
    "| fault | seed | at receipt | fault lasts s | decides after s | calm after s | repeated | receipts |\n"
    "|---|---|---|---|---|---|---|---|"
)


@pytest.fixture(scope="session")
def seed(request: pytest.FixtureRequest) -> int:
    """What moments and choices are drawn from: `--faults-seed`, CONECTA_FAULTS_SEED, or a new one."""
    wanted = request.config.getoption("--faults-seed") or os.environ.get("CONECTA_FAULTS_SEED")
    return int(wanted) if wanted else secrets.randbelow(1_000_000)


@pytest.fixture(scope="session")
async def grounds(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> AsyncIterator[Callable[[], Awaitable[Ground]]]:
    """Gives the system that runs, or a fresh one if there is none that is sound."""
    async with AsyncExitStack() as stacked:
        current: list[tuple[Ground, AsyncExitStack]] = []

        async def give() -> Ground:
            if current and current[0][0].spoiled:
                await current.pop()[1].aclose()
            if not current:
                own = await stacked.enter_async_context(AsyncExitStack())
                directory: Path = tmp_path_factory.mktemp("faults")
                current.append((await own.enter_async_context(prepared(directory, seed=seed)), own))
            return current[0][0]

        yield give


@pytest.fixture
async def ground(grounds: Callable[[], Awaitable[Ground]]) -> Ground:
    """The running system."""
    return await grounds()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table, for docs/reliability.md."""
    if RECORDED:
        terminalreporter.section("faults")
        terminalreporter.write_line(HEADING)
        for one in RECORDED:
            terminalreporter.write_line(one.line())
