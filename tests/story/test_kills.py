"""A process is killed in the middle of a story: it ends with the same figures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clients.cli.call_file import CallFile
from clients.cli.registrations_file import RegistrationsFile
from clients.cli.story import Story
from deploy.embedded.stack import Options, running
from deploy.story import ended, play_on, prepared
from tests.story.conftest import MAILS

pytestmark = pytest.mark.slow

INJECT = Path(__file__).parents[1] / "faults" / "inject"

# When a story is in the middle of what the service does; counted in commands decided, or receipts given.
MIDDLE: dict[str, Callable[[Story], bool]] = {
    "registration": lambda story: story.told.commands >= 60,
    "aid_calls": lambda story: story.told.receipts >= 20,
    "evaluation": lambda story: story.told.commands >= 330,
    "notifications": lambda story: story.told.commands >= 120,
}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not condition():  # noqa: ASYNC110 — a counter of this process, which sets no event
            await asyncio.sleep(0.002)


def same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert {key: found[key] for key in expected} == expected


@pytest.mark.parametrize("service", list(MIDDLE))
async def test_a_story_ends_with_the_same_figures_when_a_service_is_killed(
    tmp_path: Path, people: RegistrationsFile, call: CallFile, expected: dict[str, Any], service: str
) -> None:
    async with (
        running(tmp_path, options=Options(sync_interval="2m"), handle_signals=False) as stack,
        prepared(stack, people, call) as story,
    ):
        telling = asyncio.create_task(story.tell())
        await until(lambda: MIDDLE[service](story) or telling.done())
        assert not telling.done()
        await stack.supervisor.kill(service)
        await telling
        found, told, parked = await ended(story, people, call)
        assert stack.supervisor.restarts(service) == 1
    same(found, expected)
    assert (told.without_outcome, parked, told.rejected) == (0, 0, [])


@pytest.mark.parametrize("service", ["registration", "aid_calls", "evaluation"])
async def test_a_relay_killed_between_publishing_and_noting_it_repeats_nothing(
    tmp_path: Path, people: RegistrationsFile, call: CallFile, expected: dict[str, Any], service: str
) -> None:
    marker = tmp_path / "killed"
    point = f"shared.relay:Relay._forget:before:{marker}"
    env = {service: {"PYTHONPATH": str(INJECT), "CONECTA_TEST_KILL": point}}
    options = Options(sync_interval="2m", service_env=env)
    async with running(tmp_path / "data", options=options, handle_signals=False) as stack:
        found, told, parked = await play_on(stack, people, call)
        assert marker.exists()
        assert stack.supervisor.restarts(service) == 1
    same(found, expected)
    assert found["mails"] == MAILS
    assert (told.without_outcome, parked) == (0, 0)
