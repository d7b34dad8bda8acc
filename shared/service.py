"""One way to run a service: connect, consume, answer, publish, keep time, say how it is, stop gracefully.

A service's `app.py` describes itself with `Service`; everything else is the same for all.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import nats.errors
import uvloop
from faststream.asgi import AsgiFastStream, AsgiResponse, get
from faststream.nats import NatsBroker, NatsNKey
from nats.aio.client import Client
from prometheus_client import make_asgi_app

from shared.contracts import Fact, Question
from shared.contracts.status import CommandOutcomeAnswer, ConsumerStatus, ServiceStatusAnswer
from shared.contracts.wire import STREAM_COMMANDS, STREAM_EVENTS, STREAM_PARKED, STREAM_PEOPLE, STREAM_RESOLVED
from shared.db import Database, Tx, is_outage
from shared.identity import Actor, Verifier
from shared.journal import Entry, Journal
from shared.log import configure, logger
from shared.messaging import metrics, questions
from shared.messaging.bookkeeping import Bookkeeping
from shared.messaging.bus import Publisher, connect_options
from shared.messaging.commands import CommandWork
from shared.messaging.consumer import Consumer, Work, described
from shared.messaging.decisions import CommandTable, FactTable, QuestionTable
from shared.messaging.facts import FactWork
from shared.messaging.resolved import ResolvedWork
from shared.relay import CurrentRecords, Relay
from shared.settings import ServiceSettings

log = logger(__name__)

# Under load there is news with every batch: the clock is looked at no more often than this.
_BETWEEN_LOOKS = 0.1
_STALLED = 20.0  # seconds without a turn of the event loop after which the process gives up


@dataclass(frozen=True, slots=True)
class Timer:
    """Something that happens by the clock: the truth is in the tables, so nothing is forgotten while down.

    `act` does what is due at the instant given; it is looked at every second, and after every batch.
    """

    name: str
    act: Callable[[Tx, datetime], Awaitable[Sequence[Fact]]]


@dataclass(frozen=True, slots=True)
class Context:
    """What a background worker of a service gets: the database, the journal, the settings, when to stop."""

    database: Database
    journal: Journal
    settings: ServiceSettings
    stopping: asyncio.Event
    news: asyncio.Event


Worker = Callable[[Context], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Service:
    """What a service is made of: see its `app.py`."""

    name: str
    commands: CommandTable
    questions: QuestionTable
    command_outcome: type[Question]
    service_status: type[Question]
    facts: FactTable = field(default_factory=dict)
    records: FactTable = field(default_factory=dict)
    timers: Sequence[Timer] = ()
    workers: Sequence[Worker] = ()
    current: CurrentRecords | None = None


def run(service: Service) -> None:
    """Run a service in this process until it is told to stop."""
    settings = ServiceSettings()
    configure(service=service.name, level=settings.log_level)
    options: dict[str, Any] = {
        "host": settings.health_host,
        "port": settings.health_port,
        "access_log": "false",
        "log_config": None,
        "timeout_graceful_shutdown": 5,
    }
    uvloop.run(_Running(service, settings).app().run(run_extra_options=options))


class _Running:
    """A service at work."""

    def __init__(self, service: Service, settings: ServiceSettings) -> None:
        self._service = service
        self._settings = settings
        self._database = Database(settings, service=service.name)
        self._journal = Journal(service.name)
        self._bookkeeping = Bookkeeping(service.name)
        self._verifier = Verifier(settings.identity_keys_file)
        self._consumers: list[Consumer] = []
        self._relay: Relay | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._news = asyncio.Event()
        self._beat = monotonic()
        self._broker = NatsBroker(
            **connect_options(settings, user=service.name),
            security=NatsNKey(settings.nats_seed_file),
            reconnected_cb=self._reconnected,
            graceful_timeout=25,
            logger=None,
        )
        table = {
            **service.questions,
            service.command_outcome: self._command_outcome,
            service.service_status: self._service_status,
        }
        questions.register(
            self._broker, service=service.name, table=table, database=self._database, verifier=self._verifier
        )

    def app(self) -> AsgiFastStream:
        """The application: health and metrics over HTTP, everything else in its lifespan."""
        return AsgiFastStream(
            self._broker,
            asgi_routes=[
                ("/livez", get(self._livez)),
                ("/readyz", get(self._readyz)),
                ("/metrics", make_asgi_app()),
            ],
            logger=None,
            on_startup=[self._database.open],
            after_startup=[self._start],
            on_shutdown=[self._stop],
            after_shutdown=[self._database.close],
        )

    @property
    def _client(self) -> Client:
        client: Client = self._broker.config.connection_state.connection
        return client

    async def _start(self) -> None:
        publisher = Publisher(self._client)
        await publisher.start()
        self._consumers = [self._consumer(stream, work, publisher) for stream, work in self._works()]
        self._relay = Relay(
            schema=self._service.name,
            database=self._database,
            publisher=publisher,
            current=self._service.current,
        )
        context = Context(self._database, self._journal, self._settings, self._stopping, self._news)
        work = [consumer.run() for consumer in self._consumers]
        work += [self._relay.run(), self._heartbeat(), self._keep_time()]
        work += [worker(context) for worker in self._service.workers]
        self._tasks = [asyncio.create_task(one) for one in work]
        for task in self._tasks:
            task.add_done_callback(_give_up_on_fault)
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()
        log.info("started", instance=self._settings.instance)

    def _works(self) -> list[tuple[str, Work]]:
        service, journal, bookkeeping = self._service, self._journal, self._bookkeeping
        commands = CommandWork(
            service=service.name,
            table=service.commands,
            verifier=self._verifier,
            journal=journal,
            bookkeeping=bookkeeping,
        )
        works: list[tuple[str, Work]] = [(STREAM_COMMANDS, commands)]
        for stream, table in ((STREAM_EVENTS, service.facts), (STREAM_PEOPLE, service.records)):
            if table:
                work = FactWork(
                    service=service.name, stream=stream, table=table, journal=journal, bookkeeping=bookkeeping
                )
                works.append((stream, work))
        return [*works, (STREAM_RESOLVED, ResolvedWork(works=dict(works), commands=commands))]

    def _consumer(self, stream: str, work: Work, publisher: Publisher) -> Consumer:
        return Consumer(
            service=self._service.name,
            stream=stream,
            # What operators put back comes seldom and alone, so that one failure touches no other.
            batch=1 if stream == STREAM_RESOLVED else self._settings.batch,
            client=self._client,
            publisher=publisher,
            database=self._database,
            bookkeeping=self._bookkeeping,
            work=work,
            news=self._news,
        )

    async def _stop(self) -> None:
        log.info("stopping")
        self._stopping.set()
        self._news.set()
        for consumer in self._consumers:
            consumer.stop()
        if self._relay is not None:
            self._relay.stop()
        if self._tasks:  # none when the port of the health endpoint was taken
            await asyncio.wait(self._tasks, timeout=25)
        for task in self._tasks:
            task.cancel()

    async def _heartbeat(self) -> None:
        """Shows the watchdog that the event loop turns, and refreshes gauges now and then."""
        turns = 0
        while not self._stopping.is_set():
            self._beat = monotonic()
            if turns % 15 == 0:
                await self._measure()
            turns += 1
            await _wait(self._stopping, 1.0)

    async def _measure(self) -> None:
        try:
            async with asyncio.timeout(5), self._database.connection() as connection:
                status = await self._service_status(connection, None, None)
        except Exception as error:
            if not is_outage(error) and not isinstance(error, nats.errors.Error):
                raise
            return
        metrics.JOURNAL_UNPUBLISHED.labels(self._service.name).set(status.unpublished)
        for consumer in status.consumers:
            metrics.CONSUMER_PENDING.labels(self._service.name, consumer.stream).set(consumer.pending)
            metrics.CONSUMER_UNACKED.labels(self._service.name, consumer.stream).set(consumer.unacknowledged)

    async def _keep_time(self) -> None:
        while self._service.timers and not self._stopping.is_set():
            self._news.clear()
            if not any([await self._act(timer) for timer in self._service.timers]):
                await _wait(self._news, 1.0)
                await _wait(self._stopping, _BETWEEN_LOOKS)

    async def _act(self, timer: Timer) -> bool:
        """Do what is due; whether anything was, so that there may be more."""
        try:
            async with self._database.transaction() as tx:
                facts = await timer.act(tx, datetime.now(UTC))
                await self._journal.append(tx, [Entry(fact, None) for fact in facts])
        except Exception as error:
            if not is_outage(error):
                raise
            log.warning("timer-waits", timer=timer.name, error=described(error))
            return False
        if facts:
            log.info("timer", timer=timer.name, facts=len(facts))
        return bool(facts)

    def _watch(self) -> None:
        while not self._stopping.is_set():
            time.sleep(1)
            if monotonic() - self._beat > _STALLED or self._client.is_closed:
                sys.stderr.write('{"event": "watchdog: the event loop stands still, giving up"}\n')
                os._exit(70)

    async def _reconnected(self) -> None:
        log.info("bus-back")
        for consumer in self._consumers:
            consumer.reconnected()

    async def _livez(self, _: Any) -> AsgiResponse:
        return AsgiResponse(b"alive\n", 200)

    async def _readyz(self, _: Any) -> AsgiResponse:
        troubles = {consumer.stream: consumer.trouble for consumer in self._consumers if consumer.trouble}
        if not self._client.is_connected:
            troubles["bus"] = "disconnected"
        if not await self._database.reachable():
            troubles["database"] = "unreachable"
        body = json.dumps({"ready": not troubles, "troubles": troubles}).encode()
        return AsgiResponse(body, 503 if troubles else 200, headers={"content-type": "application/json"})

    async def _command_outcome(self, tx: Tx, question: Any, _: Actor | None) -> CommandOutcomeAnswer:
        found = await self._bookkeeping.decided(tx, [question.command_id])
        return CommandOutcomeAnswer(outcome=found.get(question.command_id))

    async def _service_status(self, tx: Tx, _question: Any, _: Actor | None) -> ServiceStatusAnswer:
        return ServiceStatusAnswer(
            service=self._service.name,
            unpublished=await self._journal.unpublished(tx),
            consumers=tuple([await self._consumer_status(consumer.stream) for consumer in self._consumers]),
        )

    async def _consumer_status(self, stream: str) -> ConsumerStatus:
        name = self._service.name
        info = await self._api(f"CONSUMER.INFO.{stream}.{name}", {})
        subject = f"conecta.parked.{name}"
        parked = await self._api(f"STREAM.INFO.{STREAM_PARKED}", {"subjects_filter": subject})
        return ConsumerStatus(
            stream=stream,
            consumer=name,
            pending=info["num_pending"],
            unacknowledged=info["num_ack_pending"],
            redelivered=info["num_redelivered"],
            parked=(parked["state"].get("subjects") or {}).get(subject, 0),
        )

    async def _api(self, call: str, body: dict[str, Any]) -> Any:
        reply = await self._client.request(f"$JS.API.{call}", json.dumps(body).encode(), timeout=3)
        answer = json.loads(reply.data)
        if "error" in answer:
            raise nats.errors.Error(str(answer["error"].get("err_code")))
        return answer


def _give_up_on_fault(task: asyncio.Task[None]) -> None:
    """A part that ends by an exception is a defect: end the process, whose supervisor starts a fresh one."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("part-failed", error=described(error))
        os._exit(70)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
