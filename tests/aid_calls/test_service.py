"""aid_calls as its own process: commands through the bus, closing by the clock, a ranking heard twice, the results."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import nats
import pytest
from uuid_utils.compat import uuid7

from shared import receipts
from shared.client import Client, ClientError, connected
from shared.contracts import Fact
from shared.contracts.aid_calls import CallResults, CallResultsAnswer, ServiceStatus
from shared.contracts.people import Role
from shared.contracts.status import ServiceStatusAnswer
from shared.contracts.wire import CE_ID, CE_TIME, CE_TYPE, HEADER_ID
from shared.messaging.bus import Publisher, connect_options
from tests.aid_calls.cast import a_call, a_ranking, an_application
from tests.conftest import Token
from tests.servers import Installation

COMMAND = "from services.aid_calls.app import main; main()"


@pytest.fixture
async def process(installation: Installation) -> AsyncIterator[asyncio.subprocess.Process]:
    """The service, stopped gracefully at the end."""
    settings = installation.service_settings("aid_calls")
    stated = {
        f"CONECTA_{name.upper()}": str(value) for name, value in settings.model_dump(exclude_defaults=True).items()
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", COMMAND, env={**os.environ, **stated})
    yield process
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 30) == -signal.SIGTERM  # uvicorn's way


async def told_by_evaluation(installation: Installation, *facts: Fact) -> None:
    """Facts as the relay of evaluation publishes them."""
    settings = installation.service_settings("evaluation")
    bus = await nats.connect(**connect_options(settings, user="evaluation"), nkeys_seed_str=settings.seed())
    publisher = Publisher(bus)
    await publisher.start()
    for fact in facts:
        fact_id = str(uuid7())
        now = datetime.now(UTC).isoformat()
        headers = {HEADER_ID: fact_id, CE_ID: fact_id, CE_TYPE: fact.type, CE_TIME: now}
        await publisher.publish(fact.bus_subject(), fact.model_dump_json().encode(), headers)
    await bus.close()


async def answer(client: Client, question: Any, *, actor: str, holds: Callable[[Any], bool]) -> Any:
    """The first answer that holds, from a service that may still be starting."""
    async with asyncio.timeout(20):
        while True:
            try:
                found = await client.ask(question, type(question).answer, actor=actor)
            except ClientError:
                found = None
            if found is not None and holds(found):
                return found
            await asyncio.sleep(0.05)  # between two questions


async def facts_about(client: Client, call_id: UUID, *, after: int, last: str) -> list[Any]:
    """The facts of one call, in order, until one of this name."""
    found: list[Any] = []
    async with aclosing(client.follow(subject=f"conecta.evt.aid_calls.*.{call_id}", after=after)) as followed:
        async with asyncio.timeout(10):
            while not found or found[-1].name != last:
                found.append((await anext(followed)).fact)
    return found


@pytest.mark.usefixtures("process")
async def test_a_call_is_played_through_the_bus(installation: Installation, token: Token) -> None:
    organiser, rosa, juan = (token(uuid7(), role) for role in (Role.ORGANISER, Role.PARTICIPANT, Role.PARTICIPANT))
    async with connected(installation.client_settings()) as client:
        after = await client.last_sequence()
        closes_at = datetime.now(UTC) + timedelta(seconds=4)
        call = a_call(opens_at=datetime.now(UTC), closes_at=closes_at)
        stranger = await client.execute(call, actor=rosa)
        assert [problem.code for problem in stranger.problems] == ["not-allowed"]
        assert (await client.execute(call, actor=organiser)).applied
        good, bad = an_application(call.call_id), an_application(call.call_id, region="08")
        accepted = await client.send(good, actor=rosa)
        claims = receipts.verify(accepted.signed, installation.secrets.receipts_keys_file)
        assert (claims, claims.stored_at <= closes_at) == (accepted.receipt, True)
        assert (await client.execute(bad, actor=juan)).applied
        again = await client.execute(an_application(call.call_id), actor=rosa)
        assert [problem.code for problem in again.problems] == ["already-applied"]
        question = CallResults(call_id=call.call_id)
        await answer(client, question, actor=organiser, holds=lambda it: it.state == "closed" and not it.undecided)
        late = await client.execute(an_application(call.call_id), actor=token(uuid7(), Role.PARTICIPANT))
        assert [problem.code for problem in late.problems] == ["late"]
        assert late.stored_at > closes_at
        ranking = a_ranking(call.call_id, (good.application_id, "90"))
        await told_by_evaluation(installation, ranking, ranking)
        found: CallResultsAnswer = await answer(
            client, question, actor=organiser, holds=lambda it: it.state == "results-published"
        )
        assert ([one.application_id for one in found.awarded], str(found.left)) == ([good.application_id], "2480.00")
        assert found.ineligible == {bad.application_id: ("resides-in-host-region",)}
        facts = await facts_about(client, call.call_id, after=after, last="call-results-published")
        status: ServiceStatusAnswer = await answer(client, ServiceStatus(), actor=organiser, holds=lambda it: it.idle)
        assert sum(one.parked for one in status.consumers) == 0
    about = {fact.name: fact.version for fact in facts if fact.about == "call_id"}
    assert about == {"call-opened": 2, "call-closed": 3, "call-results-published": 4}
    mine = [(fact.name, fact.version) for fact in facts if fact.thing() == str(good.application_id)]
    assert mine == [("application-submitted", 1), ("application-ruled-eligible", 2), ("aid-awarded", 3)]
    assert len(facts) == 8
