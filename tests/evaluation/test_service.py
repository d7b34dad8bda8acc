"""Evaluation as its own process: facts heard from the bus, a jury's commands, the order of merit told to everybody."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any

import nats
import pytest
from uuid_utils.compat import uuid7

from shared.client import Client, ClientError, connected
from shared.contracts import Fact
from shared.contracts.aid_calls import ApplicationRuledEligible, ApplicationSubmitted, CallClosed, CallOpened
from shared.contracts.evaluation import (
    AssignEvaluator,
    FinaliseRanking,
    PanelProgress,
    PanelProgressAnswer,
    Ranking,
    RankingAnswer,
    RankingFinalised,
    ServiceStatus,
)
from shared.contracts.people import Role
from shared.contracts.status import ServiceStatusAnswer
from shared.contracts.wire import CE_ID, CE_TIME, CE_TYPE, HEADER_ID, Status
from shared.messaging.bus import Publisher, connect_options
from tests.conftest import Token
from tests.evaluation.cast import FAIR, GOOD, NOW, POOR, a_review, the_application, the_rules
from tests.servers import Installation

COMMAND = "from services.evaluation.app import main; main()"


@pytest.fixture
async def process(installation: Installation) -> AsyncIterator[asyncio.subprocess.Process]:
    """The service, stopped gracefully at the end."""
    settings = installation.service_settings("evaluation")
    stated = {
        f"CONECTA_{name.upper()}": str(value) for name, value in settings.model_dump(exclude_defaults=True).items()
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", COMMAND, env={**os.environ, **stated})
    yield process
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 30) == -signal.SIGTERM  # uvicorn's way


async def told_by_aid_calls(installation: Installation, facts: Sequence[Fact]) -> None:
    """Facts as the relay of aid_calls publishes them."""
    settings = installation.service_settings("aid_calls")
    bus = await nats.connect(**connect_options(settings, user="aid_calls"), nkeys_seed_str=settings.seed())
    publisher = Publisher(bus)
    await publisher.start()
    for fact in facts:
        fact_id = str(uuid7())
        headers = {HEADER_ID: fact_id, CE_ID: fact_id, CE_TYPE: fact.type, CE_TIME: NOW.isoformat()}
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


@pytest.mark.usefixtures("process")
async def test_a_call_is_judged_through_the_bus(installation: Installation, token: Token) -> None:
    rules = the_rules()
    call_id = rules["call_id"]
    states = [the_application(call_id) for _ in range(2)]
    best, other = (state["application_id"] for state in states)
    await told_by_aid_calls(
        installation,
        [
            CallClosed(**rules, version=3),
            *(ApplicationRuledEligible(**state, version=2) for state in states),
            CallOpened(**rules, version=2),
            *(ApplicationSubmitted(**state, version=1) for state in states),
        ],
    )
    organiser, jury = token(uuid7(), Role.ORGANISER), [uuid7() for _ in range(3)]
    tokens = [token(member, Role.EVALUATOR) for member in jury]
    async with connected(installation.client_settings()) as client:
        after = await client.last_sequence()
        progress: PanelProgressAnswer = await answer(
            client,
            PanelProgress(call_id=call_id),
            actor=organiser,
            holds=lambda found: len(found.applications) == 2 and not found.undecided,
        )
        assert {one.application_id for one in progress.applications} == {best, other}

        async def given(member: int, *keys: Any) -> None:
            command = AssignEvaluator(call_id=call_id, evaluator_id=jury[member], application_ids=keys)
            assert (await client.execute(command, actor=organiser)).applied

        async def reviewed(member: int, key: Any, scores: Any) -> None:
            assert (await client.execute(a_review(key, scores), actor=tokens[member])).applied

        await given(0, best, other)
        await given(1, best, other)
        await asyncio.gather(
            *(reviewed(member, best, GOOD) for member in (0, 1)), reviewed(0, other, GOOD), reviewed(1, other, POOR)
        )
        early = await client.execute(FinaliseRanking(call_id=call_id), actor=organiser)
        assert [(problem.code, problem.detail) for problem in early.problems] == [
            ("review-missing", {"application_id": str(other), "missing": 1})
        ]
        await given(2, other)
        await reviewed(2, other, FAIR)
        stranger = await client.execute(FinaliseRanking(call_id=call_id), actor=tokens[2])
        assert (stranger.status, [problem.code for problem in stranger.problems]) == (Status.REJECTED, ["not-allowed"])
        assert (await client.execute(FinaliseRanking(call_id=call_id), actor=organiser)).applied
        subject = f"conecta.evt.evaluation.ranking-finalised.{call_id}"
        following = client.follow(subject=subject, after=after)
        async with aclosing(following) as followed, asyncio.timeout(10):
            fact = (await anext(followed)).fact
        assert isinstance(fact, RankingFinalised)
        assert [(one.application_id, str(one.total)) for one in fact.ranking] == [(best, "100.00"), (other, "80.00")]
        ranking = await client.ask(Ranking(call_id=call_id), RankingAnswer, actor=organiser)
        assert (ranking.ranking, ranking.third_reviews) == (fact.ranking, (other,))
        status: ServiceStatusAnswer = await answer(
            client, ServiceStatus(), actor=organiser, holds=lambda found: found.idle
        )
        assert {(one.stream, one.parked) for one in status.consumers} == {
            ("COMMANDS", 0),
            ("EVENTS", 0),
            ("RESOLVED", 0),
        }
