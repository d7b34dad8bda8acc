"""Registration as its own process: a client's commands become facts for everybody and records for PEOPLE."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing

import nats
import pytest
from nats.js.errors import NotFoundError
from uuid_utils.compat import uuid7

from shared.client import connected
from shared.contracts.people import Role
from shared.contracts.registration import (
    Meeting,
    MeetingAnswer,
    Person,
    RegistrationConfirmed,
    RegistrationCounts,
    RegistrationCountsAnswer,
    RegistrationWaitlisted,
)
from shared.contracts.wire import STREAM_PEOPLE, Status
from shared.messaging.bus import connect_options
from tests.conftest import Token
from tests.registration.cast import a_meeting, a_place, no_place, published, rosa
from tests.servers import Installation

COMMAND = "from services.registration.app import main; main()"


@pytest.fixture
async def process(installation: Installation) -> AsyncIterator[asyncio.subprocess.Process]:
    """The service, stopped gracefully at the end."""
    settings = installation.service_settings("registration")
    stated = {
        f"CONECTA_{name.upper()}": str(value) for name, value in settings.model_dump(exclude_defaults=True).items()
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", COMMAND, env={**os.environ, **stated})
    yield process
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 30) == -signal.SIGTERM  # uvicorn's way


async def record_of(installation: Installation, person_id: str) -> Person:
    """The last value in PEOPLE, once it is there."""
    settings = installation.provision_settings()
    bus = await nats.connect(**connect_options(settings, user="provision"), nkeys_seed_str=settings.seed())
    try:
        async with asyncio.timeout(10):
            while True:
                try:
                    message = await bus.jetstream().get_last_msg(STREAM_PEOPLE, f"conecta.people.{person_id}")
                    return Person.model_validate_json(message.data or b"")
                except NotFoundError:
                    await asyncio.sleep(0.05)  # between two looks
    finally:
        await bus.close()


@pytest.mark.usefixtures("process")
async def test_places_are_given_out_through_the_bus(installation: Installation, token: Token) -> None:
    organiser = token(uuid7(), Role.ORGANISER)
    meeting = a_meeting(capacity=1, starts_at="2100-01-01T13:00:00Z", ends_at="2100-01-02T13:00:00Z")
    details = rosa(email=f"{uuid7().hex}@example.org")
    async with connected(installation.client_settings()) as client:
        after = await client.last_sequence()
        senders = [
            meeting,
            published(meeting.meeting_id),
            a_place(meeting.meeting_id, details),
            a_place(meeting.meeting_id, rosa(email=f"{uuid7().hex}@example.org")),
        ]
        outcomes = [await client.execute(command, actor=organiser) for command in senders]
        assert [(one.status, one.problems) for one in outcomes] == [(Status.APPLIED, ())] * 4
        stranger = token(uuid7(), Role.PARTICIPANT)
        refused = await client.execute(no_place(outcomes[2].ids["registration_id"]), actor=stranger)
        assert [problem.code for problem in refused.problems] == ["not-allowed"]
        answer = await client.ask(Meeting(code=meeting.code), MeetingAnswer)
        assert (answer.state, answer.confirmed, answer.waitlisted) == ("published", 1, 1)
        counts = await client.ask(
            RegistrationCounts(meeting_id=meeting.meeting_id), RegistrationCountsAnswer, actor=organiser
        )
        assert (counts.people, counts.by_region) == (2, {"08": 2})
        subject = f"conecta.evt.registration.*.{meeting.meeting_id}"
        following = client.follow(subject=subject, after=after)
        async with aclosing(following) as followed:
            facts = [(await anext(followed)).fact for _ in range(4)]
    assert isinstance(facts[2], RegistrationConfirmed)
    assert isinstance(facts[3], RegistrationWaitlisted)
    assert facts[3].position == 1
    person_id = outcomes[2].ids["person_id"]
    record = await record_of(installation, person_id)
    assert (str(record.person_id), record.email, record.version) == (person_id, details.email, 1)
