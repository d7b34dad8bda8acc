from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture import code
from tests.architecture.conftest import Plant
from tests.architecture.sources import ROOT


def test_the_domain_is_told_the_time() -> None:
    assert code.clocks_in_the_domain(ROOT) == []


@pytest.mark.parametrize("module", ["services/evaluation/scoring.py", "shared/contracts/planted.py"])
@pytest.mark.parametrize(
    "reading",
    ["datetime.now(UTC)", "datetime.datetime.utcnow()", "date.today()", "Field(default_factory=datetime.now)"],
)
def test_a_domain_that_reads_the_clock_is_found(copy: Path, plant: Plant, module: str, reading: str) -> None:
    plant(module, f"AT = {reading}")
    assert [found.split(":")[0] for found in code.clocks_in_the_domain(copy)] == [module]


@pytest.mark.parametrize("imported", ["import time", "from time import monotonic"])
def test_a_domain_that_imports_time_is_found(copy: Path, plant: Plant, imported: str) -> None:
    plant("services/registration/domain.py", imported)
    [found] = code.clocks_in_the_domain(copy)
    assert found.endswith(f"reads the clock: {imported}")


def test_everything_published_is_stored_in_a_stream() -> None:
    assert code.unsaved_publishing(ROOT) == []


def test_publishing_without_a_stream_is_found(copy: Path, plant: Plant) -> None:
    plant(
        "services/registration/planted.py",
        "async def f():\n"
        "    await self.broker.publish(body, subject)\n"
        "    await broker.publish(body, subject, stream='EVENTS')",
    )
    assert code.unsaved_publishing(copy) == ["services/registration/planted.py:3 publishes without stream="]
