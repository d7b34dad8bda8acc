"""Parked messages on real servers: put back they happen once, as of when they were first stored; discarded they end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from deploy.operate.bus import OperatorBus, operator_bus
from deploy.operate.parked import NotParked, Parked, discard, parked, parked_message, requeue
from shared.client import Dispatched
from shared.contracts.aid_calls import WithdrawApplication
from shared.contracts.evaluation import RankingFinalised
from shared.contracts.people import Role
from shared.contracts.wire import CE_ID, CE_TIME, CE_TYPE, Status
from shared.db import Tx
from shared.messaging import By, Decision
from shared.messaging.consumer import Consumer, Patience, Work
from shared.messaging.decisions import CommandTable
from shared.messaging.facts import FactWork
from shared.messaging.resolved import ResolvedWork
from tests.conftest import Token
from tests.shared.conftest import SERVICE, Bench
from tests.shared.test_commands import journal_of, withdraw

IMPATIENT = Patience(delays=(0.05,), attempts=3)
SAMPLE = Path(__file__).parents[1] / "contracts" / "samples" / "pe.conecta.evaluation.ranking-finalised.v1.json"


async def raises(_tx: Tx, _command: WithdrawApplication, _by: By) -> Decision:
    raise RuntimeError


@pytest.fixture
async def operator(bench: Bench) -> AsyncIterator[OperatorBus]:
    async with operator_bus(bench.installation.operator_settings()) as bus:
        yield bus


@asynccontextmanager
async def consuming(bench: Bench, stream: str, work: Work, *, batch: int = 64) -> AsyncIterator[None]:
    """A consumer of aid_calls on a stream, as the service would have it."""
    consumer = Consumer(
        service=SERVICE,
        stream=stream,
        batch=batch,
        client=bench.bus,
        publisher=bench.publisher,
        database=bench.database,
        bookkeeping=bench.bookkeeping,
        work=work,
        news=asyncio.Event(),
        patience=IMPATIENT,
    )
    task = asyncio.create_task(consumer.run())
    try:
        yield
    finally:
        consumer.stop()
        await asyncio.wait_for(task, 30)


def resolving(bench: Bench, table: CommandTable, facts: Mapping[str, Work] | None = None) -> ResolvedWork:
    commands = bench.work(table)
    return ResolvedWork(works={"COMMANDS": commands, **(facts or {})}, commands=commands)


async def until_parked(operator: OperatorBus, message_id: str) -> Parked:
    async with asyncio.timeout(20):
        while True:
            found = [one async for one in parked(operator) if one.id == message_id]
            if found:
                return found[0]
            await asyncio.sleep(0.05)  # asked again until it is there


async def poisoned(bench: Bench, operator: OperatorBus, actor: str) -> tuple[Dispatched, datetime, UUID, Parked]:
    """A command that was accepted and then parked: when it was stored, what it is about."""
    application = uuid7()
    sent = await bench.client.dispatch(WithdrawApplication(application_id=application), actor=actor)
    accepted = await sent.accepted()
    async with bench.consuming({WithdrawApplication: raises}, patience=IMPATIENT):
        found = await until_parked(operator, str(sent.command_id))
    return sent, accepted.receipt.stored_at, application, found


async def test_a_parked_command_put_back_after_its_handler_is_mended_is_applied_once_as_of_its_first_stored_time(
    bench: Bench, operator: OperatorBus, token: Token
) -> None:
    sent, stored_at, application, found = await poisoned(bench, operator, token(uuid7(), Role.PARTICIPANT))
    assert (found.consumer, found.stream, found.subject) == (SERVICE, "COMMANDS", WithdrawApplication.subject())
    assert (found.stored_at, found.attempts) == (stored_at, IMPATIENT.attempts)
    assert found.reason.startswith("RuntimeError at test_parked.py:")
    assert "payload" not in found.as_json()
    assert json.loads(found.as_json(payload=True)["payload"])["data"] == {"application_id": str(application)}
    seen: list[By] = []

    async def mended(tx: Tx, command: WithdrawApplication, by: By) -> Decision:
        seen.append(by)
        return await withdraw(tx, command, by)

    await requeue(operator, found)
    await requeue(operator, found)  # a tool that died before it removed the message from PARKED
    with pytest.raises(NotParked):
        await parked_message(operator, found.sequence)
    async with consuming(bench, "RESOLVED", resolving(bench, {WithdrawApplication: mended}), batch=1):
        outcome = await sent.outcome()
    assert outcome is not None
    assert (outcome.status, outcome.command_id, outcome.stored_at) == (Status.APPLIED, sent.command_id, stored_at)
    assert [by.stored_at for by in seen] == [stored_at]
    assert await journal_of(bench, application) == 1


async def test_a_command_put_back_before_its_handler_is_mended_is_parked_again_with_where_it_first_stood(
    bench: Bench, operator: OperatorBus, token: Token
) -> None:
    sent, stored_at, _, first = await poisoned(bench, operator, token(uuid7(), Role.PARTICIPANT))
    await requeue(operator, first)
    async with consuming(bench, "RESOLVED", resolving(bench, {WithdrawApplication: raises}), batch=1):
        again = await until_parked(operator, str(sent.command_id))
    assert again.sequence > first.sequence
    assert (again.stream, again.subject, again.stored_at) == ("COMMANDS", first.subject, stored_at)
    assert again.attempts == IMPATIENT.attempts
    await requeue(operator, again)
    async with consuming(bench, "RESOLVED", resolving(bench, {WithdrawApplication: withdraw}), batch=1):
        outcome = await sent.outcome()
    assert outcome is not None
    assert (outcome.applied, outcome.stored_at) == (True, stored_at)


async def test_a_discarded_command_is_rejected_with_the_reason_and_never_carried_out(
    bench: Bench, operator: OperatorBus, token: Token
) -> None:
    sent, _, application, found = await poisoned(bench, operator, token(uuid7(), Role.PARTICIPANT))
    await discard(operator, found, why="enviada por error, según la señora Ñahui")
    async with consuming(bench, "RESOLVED", resolving(bench, {WithdrawApplication: withdraw}), batch=1):
        outcome = await sent.outcome()
    assert outcome is not None
    assert [(one.code, one.detail) for one in outcome.problems] == [
        ("discarded", {"why": "enviada por error, según la señora Ñahui"})
    ]
    assert await journal_of(bench, application) == 0
    assert [one async for one in parked(operator) if one.id == found.id] == []
    kept = await operator.message("RESOLVED", last_by_subj=f"conecta.resolved.{SERVICE}.discarded")
    assert kept is not None
    assert kept.headers["Conecta-Parked-Id"] == str(sent.command_id)


async def test_a_parked_fact_put_back_is_heard_by_the_service_that_parked_it_alone(
    bench: Bench, operator: OperatorBus
) -> None:
    heard, fact_id = asyncio.Queue[int](), str(uuid7())
    broken = True

    async def on_ranking(_tx: Tx, facts: list[object]) -> list[RankingFinalised]:
        if broken:
            raise RuntimeError
        heard.put_nowait(len(facts))
        return []

    fact = RankingFinalised.model_validate_json(SAMPLE.read_text())
    work = FactWork(
        service=SERVICE,
        stream="EVENTS",
        table={RankingFinalised: on_ranking},  # type: ignore[dict-item]
        journal=bench.journal,
        bookkeeping=bench.bookkeeping,
    )
    headers = {"Nats-Msg-Id": fact_id, CE_ID: fact_id, CE_TYPE: fact.type, CE_TIME: datetime.now(UTC).isoformat()}
    async with operator_bus(bench.installation.operator_settings(), user="evaluation") as evaluation:
        await evaluation.publisher.publish(fact.bus_subject(), fact.model_dump_json().encode(), headers)
    async with consuming(bench, "EVENTS", work):
        found = await until_parked(operator, fact_id)
    broken = False
    before = (await operator.call("STREAM.INFO.EVENTS"))["state"]["last_seq"]
    await requeue(operator, found)
    async with consuming(bench, "RESOLVED", resolving(bench, {}, {"EVENTS": work}), batch=1):
        assert await asyncio.wait_for(heard.get(), 20) == 1
    assert heard.empty()
    assert (await operator.call("STREAM.INFO.EVENTS"))["state"]["last_seq"] == before
    assert found.subject == fact.bus_subject()


@pytest.mark.parametrize("user", ["aid_calls", "provision", "cli"])
async def test_only_an_operator_says_what_becomes_of_parked_messages(bench: Bench, user: str) -> None:
    settings = bench.installation.operator_settings()
    async with operator_bus(settings) as operator, operator_bus(settings, user=user) as other:
        before = (await operator.call("STREAM.INFO.RESOLVED"))["state"]["last_seq"]
        await other.client.publish("conecta.resolved.aid_calls.requeued", b"forged")
        await other.client.flush()
        await other.client.flush()
        assert (await operator.call("STREAM.INFO.RESOLVED"))["state"]["last_seq"] == before
        await operator.publisher.publish("conecta.resolved.registration.requeued", b"", {"Nats-Msg-Id": str(uuid7())})
        assert (await operator.call("STREAM.INFO.RESOLVED"))["state"]["last_seq"] == before + 1
