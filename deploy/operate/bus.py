"""The bus as its user `operator`: who may look at every stream, and say what becomes of parked messages."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from deploy.provision.secrets import Secrets
from shared.messaging.bus import Publisher, connect_options
from shared.settings import BusSettings, OperatorSettings

_GONE = {10037, 10059, 10014}  # no such message, stream, consumer
_NOT_FOUND = "no message found"  # what a deletion says, under a code that stands for any failure


class BusAway(Exception):  # noqa: N818 — a state
    """The bus, or a part of it, gives no answer; the message says what."""


class Missing(Exception):  # noqa: N818
    """The stream, consumer or message is not there."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as a stream keeps it."""

    sequence: int
    subject: str
    stored_at: datetime
    headers: Mapping[str, str]
    data: bytes


class OperatorBus:
    """JetStream's API, as far as an operator may use it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.publisher = Publisher(client)

    async def call(self, subject: str, body: Mapping[str, Any] | None = None) -> Any:
        """The answer to an API call; raises Missing, BusAway."""
        payload = b"" if body is None else json.dumps(body).encode()
        try:
            reply = await self.client.request(f"$JS.API.{subject}", payload, timeout=5)
        except (nats.errors.Error, OSError) as error:
            raise BusAway(f"{subject}: {str(error) or type(error).__name__}") from error
        answer = json.loads(reply.data)
        refusal = answer.get("error")
        if refusal is None:
            return answer
        if refusal.get("err_code") in _GONE or refusal.get("description") == _NOT_FOUND:
            raise Missing(subject)
        raise BusAway(f"{subject}: {refusal.get('description')}")

    async def message(self, stream: str, **which: Any) -> Stored | None:
        """One message: `seq=7`, `seq=7, next_by_subj="a.>"` or `last_by_subj="a.b"`; None if there is none."""
        try:
            found = (await self.call(f"STREAM.MSG.GET.{stream}", which))["message"]
        except Missing:
            return None
        return Stored(
            sequence=found["seq"],
            subject=found["subject"],
            stored_at=datetime.fromisoformat(found["time"]),
            headers=_headers(found.get("hdrs")),
            data=base64.b64decode(found.get("data", "")),
        )

    async def direct(self, stream: str, **which: Any) -> list[Msg]:
        """A batch of messages by direct get; none when there is nothing (more) there. Raises BusAway."""
        inbox = self.client.new_inbox()
        found: list[Msg] = []
        subscription = await self.client.subscribe(inbox, pending_msgs_limit=-1, pending_bytes_limit=-1)
        try:
            await self.client.publish(f"$JS.API.DIRECT.GET.{stream}", json.dumps(which).encode(), reply=inbox)
            while "Status" not in ((message := await subscription.next_msg(timeout=5)).headers or {}):
                found.append(message)
        except (nats.errors.Error, OSError) as error:
            raise BusAway(f"DIRECT.GET.{stream}: {str(error) or type(error).__name__}") from error
        finally:
            await subscription.unsubscribe()
        return found


@asynccontextmanager
async def operator_bus(settings: OperatorSettings, *, user: str = "operator") -> AsyncIterator[OperatorBus]:
    """A connection as the operator, or as the service that a tool acts for; raises BusAway."""
    client = await _connected(settings, user)
    try:
        bus = OperatorBus(client)
        await bus.publisher.start()
        yield bus
    finally:
        await client.close()


async def _connected(settings: OperatorSettings, user: str) -> Client:
    own = BusSettings(nats_urls=settings.nats_urls, nats_seed_file=Secrets(settings.secrets_dir).seed_file(user))
    client, troubles = Client(), list[str]()

    async def note(error: Exception) -> None:
        troubles.append(str(error) or type(error).__name__)

    # Tools are for now, not for ever: they give up.
    options = connect_options(own, user=user) | {"error_cb": note, "max_reconnect_attempts": 2}
    try:
        await client.connect(**options, nkeys_seed_str=own.seed())
    except (nats.errors.Error, OSError) as error:
        await client.close()
        raise BusAway(", ".join(dict.fromkeys([str(error) or type(error).__name__, *troubles]))) from error
    return client


def _headers(encoded: str | None) -> dict[str, str]:
    """NATS/1.0 headers, as the API hands them over."""
    lines = base64.b64decode(encoded or "").decode(errors="replace").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines if line)
    return {name.strip(): value.strip() for name, _, value in pairs}
