"""Notifications as its own process: facts and records from the bus become mails, and mails become facts."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing

import nats
import pytest
from uuid_utils.compat import uuid7

from shared.client import connected
from shared.contracts import Fact, Record
from shared.contracts.notifications import (
    NotificationCounts,
    NotificationCountsAnswer,
    NotificationSent,
    RetryNotification,
)
from shared.contracts.people import Role
from shared.contracts.registration import RegistrationConfirmed
from shared.contracts.wire import CE_ID, CE_TIME, CE_TYPE, HEADER_ID
from shared.messaging.bus import Publisher, connect_options
from tests.conftest import Token
from tests.notifications.cast import NOW, meeting, registration, rosa
from tests.notifications.post_office import PostOffice
from tests.servers import Installation

COMMAND = "from services.notifications.app import main; main()"


@pytest.fixture
async def _process(installation: Installation, post_office: PostOffice, emptied: None) -> AsyncIterator[None]:  # noqa: ARG001
    """The service, stopped gracefully at the end."""
    settings = installation.service_settings("notifications", smtp_port=post_office.port)
    stated = {
        f"CONECTA_{name.upper()}": str(value) for name, value in settings.model_dump(exclude_defaults=True).items()
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", COMMAND, env={**os.environ, **stated})
    yield
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 30) == -signal.SIGTERM  # uvicorn's way


async def publish(installation: Installation, *news: Fact | Record) -> None:
    """Say it on the bus as registration does."""
    settings = installation.service_settings("registration")
    bus = await nats.connect(**connect_options(settings, user="registration"), nkeys_seed_str=settings.seed())
    publisher = Publisher(bus)
    await publisher.start()
    for one in news:
        key = str(uuid7())
        headers = {HEADER_ID: key, CE_ID: key, CE_TYPE: one.type, CE_TIME: NOW.isoformat()}
        await publisher.publish(one.bus_subject(), one.model_dump_json().encode(), headers)
    await bus.close()


@pytest.mark.usefixtures("_process")
async def test_a_fact_that_comes_before_its_person_and_meeting_ends_as_one_mail_that_is_told(
    installation: Installation, post_office: PostOffice, token: Token
) -> None:
    person, place = rosa(email=f"{uuid7().hex}@example.org"), meeting()
    confirmed = RegistrationConfirmed(**registration(person.person_id, place.meeting_id))
    team = token(uuid7(), Role.ORGANISER)
    async with connected(installation.client_settings()) as client:
        after = await client.last_sequence()
        await publish(installation, confirmed, place, person)
        [letter] = await post_office.received(1)
        subject = "conecta.evt.notifications.notification-sent.registration-confirmed"
        async with aclosing(client.follow(subject=subject, after=after)) as followed, asyncio.timeout(20):
            told = (await anext(followed)).fact
        counts = await client.ask(NotificationCounts(), NotificationCountsAnswer, actor=team)
        refused = await client.execute(RetryNotification(notification_id=uuid7()), actor=team)
    assert (letter.recipient, letter.message["X-Conecta-Template"]) == (person.email, "registration-confirmed")
    assert isinstance(told, NotificationSent)
    assert (told.person_id, f"<{told.notification_id}@conecta.example>") == (person.person_id, letter.id)
    # The servers are shared with other tests, whose facts have mails of their own.
    assert counts.by_template["registration-confirmed"].sent >= 1
    assert [problem.code for problem in refused.problems] == ["no-such-notification"]
