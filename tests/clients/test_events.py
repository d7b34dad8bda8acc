"""`conecta events follow` on real servers: filters, positions, and an end without a trace."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import aclosing
from datetime import UTC, datetime
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from clients.cli.events import Filter, UnreadablePosition, facts, read_position
from shared.client import Followed, connected
from shared.contracts import FACTS
from shared.contracts.aid_calls import AidAwarded, ApplicationWithdrawn, CallOpened
from shared.contracts.wire import CE_ID, CE_TIME, CE_TYPE
from shared.messaging.bus import Publisher
from tests.servers import Installation
from tests.shared.conftest import connect
from tests.shared.test_commands import withdrawn


async def publish(installation: Installation, number: int) -> list[UUID]:
    """Facts of one call, by aid_calls itself: their ids."""
    bus = await connect(installation.service_settings("aid_calls"), "aid_calls")
    publisher = Publisher(bus)
    await publisher.start()
    ids = [uuid7() for _ in range(number)]
    for one in ids:
        fact = withdrawn(uuid7(), uuid7())
        headers = {"Nats-Msg-Id": str(one), CE_ID: str(one), CE_TYPE: fact.type, CE_TIME: datetime.now(UTC).isoformat()}
        await publisher.publish(fact.bus_subject(), fact.model_dump_json().encode(), headers)
    await bus.close()
    return ids


async def first(
    installation: Installation, pattern: str, position: int | datetime | None, number: int
) -> list[Followed]:
    found: list[Followed] = []
    async with (
        asyncio.timeout(20),
        connected(installation.client_settings(instance="follower")) as client,
        aclosing(facts(client, Filter.of(pattern), position)) as following,
    ):
        async for followed in following:
            found.append(followed)
            if len(found) == number:
                break
    return found


async def test_facts_are_followed_from_a_time_and_again_from_the_sequence_after_the_last_one(
    installation: Installation,
) -> None:
    began = datetime.now(UTC)
    ids = await publish(installation, 5)
    found = await first(installation, "aid_calls.*", began, 5)
    assert [one.fact_id for one in found] == ids
    again = await first(installation, ApplicationWithdrawn.type, found[1].sequence + 1, 3)
    assert again == found[2:]


async def test_the_command_writes_json_lines_and_ends_cleanly_on_interrupt(installation: Installation) -> None:
    ids = await publish(installation, 2)
    settings = installation.client_settings()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.cli", "events", "follow", "application-withdrawn", "--from", "1", "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={
            **os.environ,
            "CONECTA_NATS_URLS": settings.nats_urls,
            "CONECTA_NATS_SEED_FILE": str(settings.nats_seed_file),
            "CONECTA_RECEIPTS_KEY_FILE": str(settings.receipts_key_file),
        },
    )
    assert process.stdout is not None
    told: list[str] = []
    async with asyncio.timeout(30):
        while str(ids[-1]) not in told:
            told.append(json.loads(await process.stdout.readline())["id"])
        process.send_signal(signal.SIGINT)
        _, errors = await process.communicate()
    assert process.returncode == 0
    assert errors.decode().startswith("Para seguir: conecta events follow --from ")
    assert "Traceback" not in errors.decode()


@pytest.mark.parametrize(
    ("pattern", "subject", "kinds"),
    [
        ("aid-awarded", "conecta.evt.*.aid-awarded.*", {AidAwarded.type}),
        ("aid_calls.call-opened", "conecta.evt.aid_calls.call-opened.*", {CallOpened.type}),
        (CallOpened.type, "conecta.evt.aid_calls.call-opened.*", {CallOpened.type}),
        ("aid_calls", "conecta.evt.aid_calls.*.*", {kind for kind in FACTS if ".aid_calls." in kind}),
        ("aid_calls.*", "conecta.evt.aid_calls.*.*", {kind for kind in FACTS if ".aid_calls." in kind}),
        ("*.aid-*", "conecta.evt.*.*.*", {kind for kind in FACTS if ".aid-" in kind}),
        ("*.*", "conecta.evt.*.*.*", set(FACTS)),
        ("aid_call.*", "conecta.evt.aid_call.*.*", set()),
    ],
)
def test_a_filter_is_a_subject_and_a_choice(pattern: str, subject: str, kinds: set[str]) -> None:
    chosen = Filter.of(pattern)
    assert (chosen.subject, {kind for kind in FACTS if chosen.wanted(kind)}) == (subject, kinds)
    assert chosen.matches_any() == bool(kinds)


def test_a_position_is_a_sequence_or_a_time() -> None:
    assert (read_position(None), read_position("17")) == (None, 17)
    assert read_position("2026-06-12T13:00:00-05:00") == datetime(2026, 6, 12, 18, tzinfo=UTC)
    with pytest.raises(UnreadablePosition):
        read_position("ayer")
