"""What is documented about headers and following is what real servers carry."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import nats
import pytest
from nats.aio.client import Client as Bus
from nats.aio.msg import Msg
from uuid_utils.compat import uuid7

from deploy.documents.command import ROOT, SAMPLES
from deploy.documents.headers import accepted_headers, command_headers, fact_headers
from deploy.documents.samples import sample
from shared.client import connected
from shared.contracts import Fact
from shared.contracts.aid_calls import AidAwarded
from shared.contracts.notifications import RetryNotification
from shared.contracts.people import Role
from shared.db import Database
from shared.journal import Entry, Journal
from shared.messaging.bus import Publisher, connect_options
from shared.relay import Relay
from shared.settings import BusSettings
from tests.servers import Installation

_FORMATS = {
    "uuid": re.compile("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"),
    "date-time": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)"),
}


@asynccontextmanager
async def _bus(settings: BusSettings, user: str) -> AsyncIterator[Bus]:
    bus = await nats.connect(**connect_options(settings, user=user), nkeys_seed_str=settings.seed())
    try:
        yield bus
    finally:
        await bus.close()


@asynccontextmanager
async def _hearing(installation: Installation, subject: str) -> AsyncIterator[asyncio.Queue[Msg]]:
    """What a client hears on a subject."""
    heard: asyncio.Queue[Msg] = asyncio.Queue()
    async with _bus(installation.client_settings(), "cli") as bus:
        await bus.subscribe(subject, cb=heard.put)
        await bus.flush()
        yield heard


@asynccontextmanager
async def _aid_calls(installation: Installation) -> AsyncIterator[Callable[..., Any]]:
    """Publishes facts as aid_calls does: through its journal and a relay."""
    settings = installation.service_settings("aid_calls")
    database, journal = Database(settings, service="aid_calls"), Journal("aid_calls")
    await database.open()
    async with _bus(settings, "aid_calls") as bus:
        publisher = Publisher(bus)
        await publisher.start()
        relay = Relay(schema="aid_calls", database=database, publisher=publisher)
        running = asyncio.create_task(relay.run())

        async def tell(facts: Sequence[Fact]) -> None:
            async with database.transaction() as tx:
                await journal.append(tx, [Entry(fact, None) for fact in facts])

        try:
            yield tell
        finally:
            relay.stop()
            await asyncio.wait_for(running, 20)
            await database.close()


def _award(**changes: Any) -> AidAwarded:
    return AidAwarded.model_validate(sample(ROOT / SAMPLES, AidAwarded.type) | changes)


def _misfits(schema: dict[str, Any], headers: dict[str, str], *, others: bool = False) -> list[str]:
    """Headers that are missing, are not documented, or are not as documented."""
    known = schema["properties"]
    missing = set(schema["required"]) - set(headers)
    unknown = set() if others else set(headers) - set(known)
    wrong = {name for name, value in headers.items() if name in known and not _fits(known[name], value)}
    return sorted(missing | unknown | wrong)


def _fits(schema: dict[str, Any], value: str) -> bool:
    if "const" in schema or "enum" in schema:
        return value in schema.get("enum", [schema.get("const")])
    form = _FORMATS.get(schema.get("format", ""))
    return bool((form is None or form.fullmatch(value)) and re.search(schema.get("pattern", ""), value))


async def test_accepted_commands_have_the_documented_headers_and_no_body(
    installation: Installation, token: Callable[..., str]
) -> None:
    async with (
        _hearing(installation, "conecta.accepted.>") as heard,
        connected(installation.client_settings()) as client,
    ):
        command = RetryNotification(notification_id=uuid7())
        accepted = await client.send(command, actor=token(uuid7(), Role.ORGANISER))
        message = await asyncio.wait_for(heard.get(), 10)
    headers = dict(message.headers or {})
    own = {name: value for name, value in headers.items() if not name.startswith("Nats-") or name == "Nats-Msg-Id"}
    assert _misfits(command_headers(RetryNotification), own) == []
    assert _misfits(accepted_headers(), headers, others=True) == []
    assert set(headers) - set(own) <= set(accepted_headers()["properties"])
    assert (headers["Nats-Msg-Id"], headers["Nats-Sequence"]) == (
        str(accepted.receipt.command_id),
        str(accepted.receipt.sequence),
    )
    assert message.subject == "conecta.accepted.notifications.retry-notification"
    assert message.data == b""


async def test_published_facts_have_the_documented_headers(installation: Installation) -> None:
    award = _award(call_id=str(uuid7()))
    subject = f"conecta.evt.aid_calls.aid-awarded.{award.call_id}"
    async with _hearing(installation, subject) as heard, _aid_calls(installation) as tell:
        await tell([award])
        message = await asyncio.wait_for(heard.get(), 10)
    headers = dict(message.headers or {})
    assert _misfits(fact_headers(AidAwarded), headers) == []
    assert headers["ce-subject"] == str(award.application_id)
    assert AidAwarded.model_validate_json(message.data) == award


@pytest.mark.parametrize(
    ("change", "misfit"),
    [
        ({"ce-type": "another"}, "ce-type"),
        ({"Authorization": "x"}, "Authorization"),
        ({"ce-source": None}, "ce-source"),
    ],
)
def test_headers_that_are_not_as_documented_are_found(change: dict[str, str | None], misfit: str) -> None:
    right = {
        "Nats-Msg-Id": str(uuid7()),
        "ce-specversion": "1.0",
        "ce-id": str(uuid7()),
        "ce-type": AidAwarded.type,
        "ce-source": "/conecta/aid_calls",
        "ce-time": "2019-06-12T17:59:59.812345+00:00",
        "ce-subject": str(uuid7()),
        "content-type": "application/json",
    }
    assert _misfits(fact_headers(AidAwarded), right) == []
    wrong = {name: value for name, value in {**right, **change}.items() if value is not None}
    assert _misfits(fact_headers(AidAwarded), wrong) == [misfit]


async def test_the_example_of_the_page_follows_awards(installation: Installation) -> None:
    call_id, other = str(uuid7()), str(uuid7())
    newest = _award(call_id=call_id, version=3, amount="570.00", rank=4)
    older = newest.model_copy(update={"version": 2, "rank": 5})
    next_one = _award(call_id=call_id, application_id=str(uuid7()), version=1, amount="99.50", rank=6, region=None)
    async with _aid_calls(installation) as tell:
        await tell([newest, older, newest, _award(call_id=other), next_one])
        follower = await asyncio.create_subprocess_exec(
            sys.executable,
            str(ROOT / "docs" / "examples" / "follow_awards.py"),
            call_id,
            env=os.environ | _environment(installation),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert follower.stdout is not None
            async with asyncio.timeout(30):
                lines = [(await follower.stdout.readline()).decode().split()[1:] for _ in range(2)]
        finally:
            follower.terminate()
            await follower.wait()
    assert lines == [["4", "05", "570.00"], ["6", "None", "99.50"]]


def _environment(installation: Installation) -> dict[str, str]:
    settings = installation.client_settings(instance="example")
    return {f"CONECTA_{name.upper()}": str(value) for name, value in settings.model_dump().items()}
