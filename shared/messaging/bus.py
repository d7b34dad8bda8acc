"""The connection to NATS and pipelined publishing to JetStream: many messages in flight, each acknowledged.

| what happens                        | what the caller sees                                          |
|-------------------------------------|---------------------------------------------------------------|
| acknowledged                        | `Ack` with stream, sequence, whether it was there already     |
| stream full, message too large, ... | `PublishRefused` with a stable code: nothing was stored       |
| no answer in time, connection lost  | `PublishUnknown`: it may be stored; repeat with the same id   |
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.log import logger
from shared.settings import BusSettings

log = logger(__name__)

# JetStream's error codes for a stream that takes no more, by bytes, messages, or the server's own storage.
_FULL = {10047, 10077, 10122, 10023}
_TOO_LARGE = {10054}


def connect_options(settings: BusSettings, *, user: str) -> dict[str, Any]:
    """How every process of ours connects: for ever, with its own inbox prefix (reliability.md, rule 1)."""
    return {
        "servers": settings.servers(),
        "name": f"conecta-{user}",
        "inbox_prefix": f"_INBOX_{user}",
        "max_reconnect_attempts": -1,
        "reconnect_time_wait": 1,
        "connect_timeout": 2,
        "ping_interval": 10,
        "max_outstanding_pings": 2,
        "pending_size": 16 << 20,
        "error_cb": _noted,
    }


async def _noted(error: Exception) -> None:
    """What the connection meets in the background: permissions violations are an alert (reliability.md, rule 20)."""
    log.warning("bus-error", error=f"{type(error).__name__} {error}".strip()[:200])


class Ack(NamedTuple):
    """JetStream has stored the message."""

    stream: str
    sequence: int
    duplicate: bool


class PublishUnknown(Exception):  # noqa: N818 — a state, not an error: repeat with the same id
    """No acknowledgement came: the message may or may not be stored."""


class PublishRefused(Exception):  # noqa: N818
    """JetStream did not store the message; `code` is stream-full, too-large, no-stream or bus-refused."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Publisher:
    """Publishes with one reply inbox for all acknowledgements."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._waiting: dict[str, asyncio.Future[Ack]] = {}
        self._count = 0
        self._inbox = ""

    async def start(self) -> None:
        """Subscribe to the inbox."""
        self._inbox = self._client.new_inbox()
        await self._client.subscribe(
            f"{self._inbox}.*", cb=self._acknowledged, pending_msgs_limit=-1, pending_bytes_limit=-1
        )

    async def send(self, subject: str, payload: bytes, headers: Mapping[str, str]) -> asyncio.Future[Ack]:
        """Put a message on its way; the future has its acknowledgement. Raises PublishUnknown when cut off."""
        self._count += 1
        token = str(self._count)
        future: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()
        self._waiting[token] = future
        future.add_done_callback(lambda _: self._waiting.pop(token, None))
        try:
            await self._client.publish(subject, payload, reply=f"{self._inbox}.{token}", headers=dict(headers))
        except nats.errors.MaxPayloadError:
            future.cancel()
            raise PublishRefused("too-large") from None
        except (nats.errors.Error, OSError) as error:
            future.cancel()
            raise PublishUnknown(str(error)) from error
        return future

    async def publish(self, subject: str, payload: bytes, headers: Mapping[str, str], *, seconds: float = 5) -> Ack:
        """Publish one message and wait for its acknowledgement."""
        future = await self.send(subject, payload, headers)
        return await acknowledged(future, seconds=seconds)

    async def _acknowledged(self, message: Msg) -> None:
        future = self._waiting.get(message.subject.rpartition(".")[2])
        if future is None or future.done():
            return
        if not message.data and message.headers:  # 503: no stream listens on this subject, or it has no leader
            future.set_exception(PublishRefused("no-stream"))
            return
        answer = json.loads(message.data)
        if error := answer.get("error"):
            future.set_exception(PublishRefused(_code(error)))
        else:
            future.set_result(Ack(answer["stream"], answer["seq"], answer.get("duplicate", False)))


async def acknowledged(future: asyncio.Future[Ack], *, seconds: float) -> Ack:
    """Wait for an acknowledgement; raises PublishUnknown when none comes in time."""
    try:
        return await asyncio.wait_for(future, seconds)
    except TimeoutError:
        raise PublishUnknown("no acknowledgement in time") from None


async def all_acknowledged(
    futures: Sequence[asyncio.Future[Ack]], *, seconds: float
) -> list[Ack | PublishRefused | PublishUnknown]:
    """What became of each of many messages under way, within one time for all of them."""
    if futures:
        _, late = await asyncio.wait(futures, timeout=seconds)
        for future in late:
            future.cancel()
    return [_ended(future) for future in futures]


def _ended(future: asyncio.Future[Ack]) -> Ack | PublishRefused | PublishUnknown:
    if not future.done() or future.cancelled():
        return PublishUnknown("no acknowledgement in time")
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, PublishRefused | PublishUnknown):
        return error
    raise error


def _code(error: Mapping[str, Any]) -> str:
    number = error.get("err_code")
    if number in _FULL:
        return "stream-full"
    return "too-large" if number in _TOO_LARGE else "bus-refused"
