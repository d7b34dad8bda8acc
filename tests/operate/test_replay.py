"""Journals published again on real servers: lost streams are what they were, intact ones stay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from uuid_utils.compat import uuid7

from deploy.operate.bus import OperatorBus, operator_bus
from deploy.operate.replay import Replayed, replay
from deploy.provision import provision
from services.evaluation.app import SERVICE as EVALUATION
from services.registration.app import SERVICE as REGISTRATION
from services.registration.commands import register_people
from shared.contracts import FACTS, Fact
from shared.contracts.people import PersonDetails, Role
from shared.contracts.registration import RegisterPerson
from shared.db import Database
from shared.identity import Actor
from shared.journal import Entry, Journal
from shared.messaging import By, Sender
from shared.messaging.bookkeeping import Bookkeeping
from shared.messaging.bus import Publisher
from shared.messaging.consumer import Consumer
from shared.messaging.facts import FactWork
from shared.relay import Relay
from tests.shared.conftest import Bench, connect
from tests.shared.test_relay import append, of_call, relaying

SAMPLES = Path(__file__).parents[1] / "contracts" / "samples"
TOLD = ("call-opened", "application-submitted", "application-ruled-eligible", "aid-awarded")
PROJECTIONS = "select relname from pg_class where relnamespace = 'evaluation'::regnamespace and relkind = 'r'"
NOT_PROJECTED = {"journal", "unpublished", "commands", "failures", "schema_migrations", "foundation_migrations"}

Stood = tuple[str, str, bytes]


@pytest.fixture
async def operator(bench: Bench) -> AsyncIterator[OperatorBus]:
    async with operator_bus(bench.installation.operator_settings()) as bus:
        yield bus


def samples() -> list[Fact]:
    found = [FACTS[f"pe.conecta.aid_calls.{name}.v1"] for name in TOLD]
    return [kind.model_validate_json((SAMPLES / f"{kind.type}.json").read_text()) for kind in found]


async def events(operator: OperatorBus) -> list[Stood]:
    """Subject, id and body of every fact of aid_calls, in order."""
    found: list[Stood] = []
    after = 0
    while batch := await operator.direct("EVENTS", seq=after + 1, batch=500, next_by_subj="conecta.evt.aid_calls.>"):
        for message in batch:
            headers = message.headers or {}
            after = int(headers["Nats-Sequence"])
            found.append((headers["Nats-Subject"], headers["ce-id"], message.data))
    return found


async def lose(bench: Bench, stream: str) -> None:
    """Delete a stream, and provision it anew."""
    settings = bench.installation.provision_settings()
    bus = await connect(settings, "provision")
    await bus.request(f"$JS.API.STREAM.DELETE.{stream}", b"", timeout=5)
    await bus.close()
    assert (await provision(settings)).ok


async def again(bench: Bench, service: str = "aid_calls", start: int | datetime | None = None) -> Replayed:
    return await replay(bench.installation.operator_settings(), service, start=start, advance=lambda *_: None)


async def published(bench: Bench) -> None:
    """Return when the journal is on the bus."""
    async with asyncio.timeout(20):
        while True:
            async with bench.database.connection() as tx:
                if not await bench.journal.unpublished(tx):
                    return
            await asyncio.sleep(0.02)  # looked at again until it is empty


@asynccontextmanager
async def evaluation(bench: Bench) -> AsyncIterator[tuple[Database, Client]]:
    """Evaluation's consumer of EVENTS, with its own subscribers."""
    settings = bench.installation.service_settings("evaluation")
    database, journal = Database(settings, service="evaluation"), Journal("evaluation")
    await database.open()
    bus = await connect(settings, "evaluation")
    publisher = Publisher(bus)
    await publisher.start()
    bookkeeping = Bookkeeping("evaluation")
    work = FactWork(
        service="evaluation", stream="EVENTS", table=EVALUATION.facts, journal=journal, bookkeeping=bookkeeping
    )
    consumer = Consumer(
        service="evaluation",
        stream="EVENTS",
        batch=64,
        client=bus,
        publisher=publisher,
        database=database,
        bookkeeping=bookkeeping,
        work=work,
        news=asyncio.Event(),
    )
    task = asyncio.create_task(consumer.run())
    try:
        yield database, bus
    finally:
        consumer.stop()
        await asyncio.wait_for(task, 30)
        await database.close()
        await bus.close()


async def heard(bench: Bench, operator: OperatorBus) -> dict[str, list[str]]:
    """Evaluation's projections, once it has heard everything."""
    async with evaluation(bench) as (database, _), asyncio.timeout(20):
        while True:
            info: Any = await operator.call("CONSUMER.INFO.EVENTS.evaluation")
            if not info["num_pending"] and not info["num_ack_pending"]:
                break
            await asyncio.sleep(0.05)  # asked again until there is nothing left
        async with database.connection() as tx:
            tables = {row["relname"] for row in await tx.fetch(PROJECTIONS)} - NOT_PROJECTED
            rows = {table: await tx.fetch(f"select t::text from evaluation.{table} t order by 1") for table in tables}
    return {table: [row[0] for row in found] for table, found in rows.items()}


async def test_events_lost_and_provisioned_anew_are_what_they_were_and_projections_do_not_change(
    bench: Bench, operator: OperatorBus
) -> None:
    async with relaying(bench):
        await append(bench, [*samples(), *of_call(uuid7(), 1200)])
        await published(bench)
        before, projected = await events(operator), await heard(bench, operator)
        assert any(projected.values())
        await lose(bench, "EVENTS")
        assert await events(operator) == []
        done = await again(bench)  # beside a relay that leads
        assert (done.facts, done.facts_there) == (len(before), 0)
        assert await events(operator) == before
        assert await heard(bench, operator) == projected
        await append(bench, of_call(uuid7(), 1))
        await published(bench)  # the relay leads again
    assert len(await events(operator)) == len(before) + 1


async def test_an_intact_stream_stays_as_it_is_also_when_the_window_of_ids_is_over(
    bench: Bench, operator: OperatorBus
) -> None:
    async with relaying(bench):
        await append(bench, of_call(uuid7(), 700))
        await published(bench)
    before = await events(operator)
    window = {"duplicate_window": 100_000_000}  # a tenth of a second, and so over when the replay begins
    bus = await connect(bench.installation.provision_settings(), "provision")
    config = (await operator.call("STREAM.INFO.EVENTS"))["config"]
    await OperatorBus(bus).call("STREAM.UPDATE.EVENTS", config | window)
    await bus.close()
    done = await again(bench)
    assert (done.facts, done.facts_there) == (0, len(before))
    assert await events(operator) == before
    assert (await provision(bench.installation.provision_settings())).ok


async def test_a_replay_from_a_position_or_a_time_publishes_only_what_is_later(
    bench: Bench, operator: OperatorBus
) -> None:
    async with relaying(bench):
        await append(bench, of_call(uuid7(), 5))
        await published(bench)
    before = await events(operator)
    await lose(bench, "EVENTS")
    async with bench.database.connection() as tx:
        last = int(await tx.fetchval("select max(position) from aid_calls.journal"))
    assert (await again(bench, start=datetime.now(UTC) + timedelta(hours=1))).facts == 0
    assert (await again(bench, start=last - 1)).facts == 2
    assert await events(operator) == before[-2:]
    assert (await again(bench)).facts == len(before) - 2
    assert sorted(await events(operator)) == sorted(before)


async def test_people_are_published_again_with_their_current_value_where_the_bus_lacks_it(
    bench: Bench, operator: OperatorBus
) -> None:
    settings = bench.installation.service_settings("registration")
    database, journal = Database(settings, service="registration"), Journal("registration")
    await database.open()
    actor = Actor(uuid7(), frozenset({Role.ORGANISER}))
    person = PersonDetails(given="Rosa", family="Quispe", email=f"{uuid7()}@example.org", region="08")
    command = RegisterPerson(person_id=uuid7(), person=person)
    async with database.transaction() as tx:
        sender = Sender(command, By(uuid7(), actor, datetime.now(UTC)))
        [decision] = await register_people(tx, [sender])
        await journal.append(tx, [Entry(fact, None) for fact in decision.facts])
    bus = await connect(settings, "registration")
    publisher = Publisher(bus)
    await publisher.start()
    relay = Relay(schema="registration", database=database, publisher=publisher, current=REGISTRATION.current)
    task = asyncio.create_task(relay.run())
    subject = f"conecta.people.{command.person_id}"
    async with asyncio.timeout(20):
        while (found := await operator.message("PEOPLE", last_by_subj=subject)) is None:  # noqa: ASYNC110 — asked
            await asyncio.sleep(0.02)
    assert (await again(bench, "registration")).records == 0
    await lose(bench, "PEOPLE")
    assert (await again(bench, "registration")).records >= 1
    second = await operator.message("PEOPLE", last_by_subj=subject)
    assert second is not None
    assert (second.data, second.headers["ce-id"]) == (found.data, found.headers["ce-id"])
    relay.stop()
    await asyncio.wait_for(task, 20)
    await bus.close()
    await database.close()
