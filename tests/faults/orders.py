"""Orders to a running service, obeyed by `inject/sitecustomize.py` in it: die at a point, a wrong clock, a poison."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

INJECT = Path(__file__).parent / "inject"


class Orders:
    """A folder of files named `<service>.<order>`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def environment(self, service: str) -> dict[str, str]:
        """What makes a service listen to orders."""
        return {
            "PYTHONPATH": str(INJECT),
            "CONECTA_FAULTS_ORDERS": str(self._folder),
            "CONECTA_FAULTS_SERVICE": service,
        }

    async def die(self, service: str, point: str, *, seconds: float = 30) -> None:
        """Order a service to die at its next passage of a point; returns when it has. TimeoutError if it did not."""
        died = self._folder / f"{service}.died"
        died.unlink(missing_ok=True)
        self._give(service, "die", point)
        try:
            async with asyncio.timeout(seconds):
                while not died.exists():  # noqa: ASYNC110 — another process tells
                    await asyncio.sleep(0.005)
        finally:
            (self._folder / f"{service}.die").unlink(missing_ok=True)

    @contextmanager
    def clock(self, service: str, seconds: float) -> Iterator[None]:
        """A service's clock is that much ahead, or behind, as long as the block lasts."""
        self._give(service, "clock", str(seconds))
        yield
        (self._folder / f"{service}.clock").unlink()

    @contextmanager
    def poison(self, application_id: UUID) -> Iterator[None]:
        """aid_calls cannot bear this application as long as the block lasts."""
        self._give("aid_calls", "poison", str(application_id))
        yield
        (self._folder / "aid_calls.poison").unlink()

    def _give(self, service: str, order: str, text: str) -> None:
        draft = self._folder / f"{service}.{order}.new"
        draft.write_text(text)
        draft.rename(self._folder / f"{service}.{order}")
