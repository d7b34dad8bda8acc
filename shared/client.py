"""What clients use: send a command and get its signed receipt, then its outcome; ask a question; follow facts.

| what happens                               | what the caller sees                                              |
|--------------------------------------------|-------------------------------------------------------------------|
| the bus stores the command                 | a receipt, also while services and databases are away             |
| no acknowledgement                         | the same id again until `patience` is over, then BusUnreachable   |
| COMMANDS full                              | StreamFull: nothing was stored, try again later                   |
| no outcome in time                         | None: the receipt stands, ask again later                         |
| nobody answers a question                  | NoSuchService at once, or ServiceSilent after the time given      |
| a question is refused                      | Refused with the code and every problem                           |
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any, TypeVar, cast
from uuid import UUID

import nats
import nats.errors
from nats.aio.client import Client as Bus
from nats.aio.msg import Msg
from pydantic import TypeAdapter
from uuid_utils.compat import uuid7

from shared.contracts import Answer, Command, Question, aid_calls, evaluation, notifications, registration
from shared.contracts.wire import (
    CE_ID,
    CE_SOURCE,
    CE_SPEC,
    CE_TYPE,
    HEADER_CLIENT,
    HEADER_ERROR,
    HEADER_ID,
    HEADER_INSTANCE,
    Outcome,
    Problem,
    Receipt,
)
from shared.messaging.bus import Ack, Publisher, PublishRefused, PublishUnknown, acknowledged, connect_options
from shared.messaging.following import Followed as Followed  # noqa: PLC0414 — for clients, too
from shared.messaging.following import Follower
from shared.receipts import Signer, digest
from shared.settings import ClientSettings

A = TypeVar("A", bound=Answer)

_PROBLEMS = TypeAdapter(tuple[Problem, ...])


class ClientError(Exception):
    """Something that the caller must tell its user; `code` is stable."""

    code = "client-error"


class BusUnreachable(ClientError):  # noqa: N818
    """The bus gave no answer in time. Whether it has the command is unknown: repeat with the same id."""

    code = "bus-unreachable"


class StreamFull(ClientError):  # noqa: N818
    """The bus takes no more commands now; this one is not stored."""

    code = "stream-full"


class TooLarge(ClientError):  # noqa: N818
    """The command is larger than the bus takes; it is not stored."""

    code = "too-large"


class NoSuchService(ClientError):  # noqa: N818
    """Nobody answers questions of this kind now."""

    code = "no-such-service"


class ServiceSilent(ClientError):  # noqa: N818
    """The service is there but did not answer in time."""

    code = "service-silent"


class Refused(ClientError):  # noqa: N818
    """The service refused the question."""

    def __init__(self, code: str, problems: tuple[Problem, ...]) -> None:
        super().__init__(code)
        self.code = code
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Accepted:
    """A command that the bus has stored: what the receipt says, the receipt itself, and what was sent."""

    receipt: Receipt
    signed: str
    command: bytes


class Dispatched:
    """A command on its way: published, its acknowledgement not awaited yet."""

    def __init__(self, client: Client, command: Command, data: bytes, actor: str, command_id: UUID) -> None:
        self.command_id = command_id
        self._stored, self._told = client.expect(command_id)
        self._client = client
        self._command = command
        self._data = data
        self._body = b'{"data":' + data + b',"actor":"' + actor.encode() + b'"}'
        self._flying: asyncio.Future[Ack] | None = None
        self._refused: PublishRefused | None = None

    async def fly(self) -> None:
        """Publish once; a failure is met again in `accepted`."""
        self._refused = None
        try:
            self._flying = await self._client.publisher.send(
                self._command.subject(), self._body, self._client.headers(self._command, self.command_id)
            )
        except PublishUnknown:
            self._flying = None
        except PublishRefused as error:
            self._refused = error

    async def accepted(self, *, patience: float = 30) -> Accepted:
        """The receipt, repeating with the same id while the bus does not answer; raises ClientError."""
        deadline = monotonic() + patience
        while True:
            try:
                ack = await self._acknowledged()
                return await self._client.receipt(self._command, self._data, self.command_id, ack, self._stored)
            except PublishRefused as error:
                if error.code == "stream-full":
                    raise StreamFull from error
                if error.code == "too-large":
                    raise TooLarge from error
                failure: Exception = error
            except PublishUnknown as error:
                failure = error
            if monotonic() > deadline:
                self._client.forget(self.command_id)
                raise BusUnreachable from failure
            await asyncio.sleep(0.2)  # between attempts; the bus's own reconnecting waits a second
            await self.fly()

    async def _acknowledged(self) -> Ack:
        if self._refused is not None:
            raise self._refused
        if self._flying is None:
            raise PublishUnknown
        return await acknowledged(self._flying, seconds=5)

    async def outcome(self, *, seconds: float = 10) -> Outcome | None:
        """What became of it, if that is known in time."""
        return await self._client.outcome(self._command, self.command_id, seconds=seconds, told=self._told)


class Client:
    """One client process's connection to Conecta."""

    def __init__(self, bus: Bus, publisher: Publisher, settings: ClientSettings) -> None:
        self.publisher = publisher
        self._bus = bus
        self._settings = settings
        self._signer = Signer(settings.receipts_key_file)
        self._stored: dict[str, asyncio.Future[datetime]] = {}
        self._outcomes: dict[str, asyncio.Future[Outcome]] = {}

    async def dispatch(self, command: Command, *, actor: str, command_id: UUID | None = None) -> Dispatched:
        """Put a command on its way without waiting; commands dispatched in order are stored in order."""
        command_id = command_id or uuid7()
        dispatched = Dispatched(self, command, command.model_dump_json().encode(), actor, command_id)
        await dispatched.fly()
        return dispatched

    async def send(
        self, command: Command, *, actor: str, command_id: UUID | None = None, patience: float = 30
    ) -> Accepted:
        """Send a command; its receipt, once the bus has stored it."""
        dispatched = await self.dispatch(command, actor=actor, command_id=command_id)
        return await dispatched.accepted(patience=patience)

    async def execute(
        self, command: Command, *, actor: str, command_id: UUID | None = None, seconds: float = 30
    ) -> Outcome:
        """Send a command and wait for its outcome; raises ServiceSilent when there is none in time."""
        dispatched = await self.dispatch(command, actor=actor, command_id=command_id)
        await dispatched.accepted()
        outcome = await dispatched.outcome(seconds=seconds)
        if outcome is None:
            raise ServiceSilent(command.service)
        return outcome

    async def outcome(
        self,
        command: Command,
        command_id: UUID,
        *,
        seconds: float = 10,
        told: asyncio.Future[Outcome] | None = None,
    ) -> Outcome | None:
        """What became of a command: as the service tells it, or by asking, until the time is over."""
        deadline = monotonic() + seconds
        told = told or self.expect(command_id)[1]
        pause = 1.0
        outcome: Outcome | None = None
        while (left := deadline - monotonic()) > 0:
            try:
                outcome = await asyncio.wait_for(asyncio.shield(told), min(pause, left))
            except TimeoutError:
                outcome = await self._asked(command, command_id)
                pause = min(pause * 2, 5)
            if outcome is not None:
                break
        self.forget(command_id)
        return outcome

    async def ask(self, question: Question, answer: type[A], *, actor: str | None = None, seconds: float = 5) -> A:
        """The answer to a question; `answer` is the question's own answer class. Raises ClientError."""
        assert answer is question.answer  # noqa: S101 — the caller's types
        body = b'{"data":' + question.model_dump_json().encode()
        body += b',"actor":"' + actor.encode() + b'"}' if actor else b"}"
        try:
            reply = await self._bus.request(question.subject(), body, timeout=seconds)
        except nats.errors.NoRespondersError as error:
            raise NoSuchService(question.service) from error
        except nats.errors.TimeoutError as error:
            raise ServiceSilent(question.service) from error
        except (nats.errors.Error, OSError) as error:
            raise BusUnreachable from error
        if code := (reply.headers or {}).get(HEADER_ERROR):
            raise Refused(code, _PROBLEMS.validate_json(reply.data or b"[]"))
        return answer.model_validate_json(reply.data)

    def follow(self, *, subject: str = "conecta.evt.>", after: int = 0) -> AsyncGenerator[Followed, None]:
        """Facts in the order of the stream, from the one after a sequence, for ever."""
        return Follower(self._bus, subject=subject).follow(after=after)

    async def last_sequence(self, *, subject: str = "conecta.evt.>") -> int:
        """The sequence of the newest fact on a subject; 0 when there is none."""
        return await Follower(self._bus, subject=subject).last_sequence()

    async def last_before(self, moment: datetime, *, subject: str = "conecta.evt.>") -> int:
        """The sequence after which facts that the bus stored at or after a moment follow; raises BusUnreachable."""
        try:
            return await Follower(self._bus, subject=subject).last_before(moment)
        except (nats.errors.Error, OSError) as error:
            raise BusUnreachable from error

    def headers(self, command: Command, command_id: UUID) -> dict[str, str]:
        """What a command travels with."""
        return {
            HEADER_ID: str(command_id),
            HEADER_CLIENT: self._settings.client,
            HEADER_INSTANCE: self._settings.instance,
            CE_SPEC: "1.0",
            CE_ID: str(command_id),
            CE_TYPE: command.type,
            CE_SOURCE: f"/conecta/clients/{self._settings.client}",
        }

    def expect(self, command_id: UUID) -> tuple[asyncio.Future[datetime], asyncio.Future[Outcome]]:
        """Where the stored time and the outcome of a command will be told; the same for all who expect them."""
        loop = asyncio.get_running_loop()
        return (
            self._stored.setdefault(str(command_id), loop.create_future()),
            self._outcomes.setdefault(str(command_id), loop.create_future()),
        )

    async def receipt(
        self, command: Command, data: bytes, command_id: UUID, ack: Ack, stored: asyncio.Future[datetime]
    ) -> Accepted:
        """The signed receipt of a command that JetStream acknowledged."""
        receipt = Receipt(
            command_id=command_id,
            type=command.type,
            sha256=digest(data),
            stream=ack.stream,
            sequence=ack.sequence,
            stored_at=await self._stored_at(command, command_id, stored, known=ack.duplicate),
        )
        return Accepted(receipt, self._signer.sign(receipt), data)

    def forget(self, command_id: UUID) -> None:
        """Wait no longer for what becomes of a command."""
        self._stored.pop(str(command_id), None)
        self._outcomes.pop(str(command_id), None)

    async def _stored_at(
        self, command: Command, command_id: UUID, stored: asyncio.Future[datetime], *, known: bool
    ) -> datetime:
        """When the bus stored it, which it announces once; of one known before, the outcome may have to tell."""
        if known and not stored.done():
            await self._asked(command, command_id)
        try:
            return await asyncio.wait_for(asyncio.shield(stored), 2)
        except TimeoutError:
            outcome = await self.outcome(command, command_id)
        if outcome is None:
            raise BusUnreachable("stored, but when is not known yet")
        return outcome.stored_at

    async def _asked(self, command: Command, command_id: UUID) -> Outcome | None:
        question = _OUTCOME_QUESTIONS[command.service]
        try:
            answer: Any = await self.ask(question(command_id=command_id), question.answer, seconds=2)
        except ClientError:
            return None  # not known now; the caller's deadline decides how often to ask again
        outcome = cast("Outcome | None", answer.outcome)
        if outcome is not None:
            self._learn(outcome)
        return outcome

    def _learn(self, outcome: Outcome) -> None:
        """An outcome tells whoever waits for it, and whoever waits for the stored time."""
        for waiting, value in (
            (self._outcomes.get(str(outcome.command_id)), outcome),
            (self._stored.get(str(outcome.command_id)), outcome.stored_at),
        ):
            if waiting is not None and not waiting.done():
                cast("asyncio.Future[Any]", waiting).set_result(value)

    async def _announced(self, message: Msg) -> None:
        headers = message.headers or {}
        waiting = self._stored.get(headers.get(HEADER_ID, ""))
        if waiting is not None and not waiting.done():
            waiting.set_result(_instant(headers["Nats-Time-Stamp"]))

    async def _told(self, message: Msg) -> None:
        if message.subject.rpartition(".")[2] in self._outcomes:
            self._learn(Outcome.model_validate_json(message.data))

    async def listen(self) -> None:
        """Subscribe to stored times and outcomes."""
        own = f"conecta.outcome.{self._settings.client}.{self._settings.instance}.*"
        for subject, heard in (("conecta.accepted.>", self._announced), (own, self._told)):
            await self._bus.subscribe(subject, cb=heard, pending_msgs_limit=-1, pending_bytes_limit=-1)
        await self._bus.flush(timeout=5)


@asynccontextmanager
async def connected(settings: ClientSettings, *, patience: float = 10) -> AsyncIterator[Client]:
    """A connected client; raises BusUnreachable when the bus does not answer within `patience` seconds."""
    bus = Bus()
    options: Mapping[str, Any] = connect_options(settings, user=settings.client)
    try:
        await asyncio.wait_for(bus.connect(**options, nkeys_seed_str=settings.seed()), patience)
    except (nats.errors.Error, OSError, TimeoutError) as error:
        await bus.close()
        raise BusUnreachable from error
    try:
        publisher = Publisher(bus)
        await publisher.start()
        client = Client(bus, publisher, settings)
        await client.listen()
        yield client
    finally:
        await bus.close()


def _instant(text: str) -> datetime:
    """RFC 3339 with up to nine decimals, cut to microseconds."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{(fraction + '000000')[:6]}").replace(tzinfo=UTC)


_OUTCOME_QUESTIONS: Mapping[str, Any] = {
    module.CommandOutcome.service: module.CommandOutcome
    for module in (aid_calls, evaluation, notifications, registration)
}
