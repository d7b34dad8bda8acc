"""Raw nats-py at its best, for the raw side only: pipelined publishing, and a pull that hands over what has arrived.

No errors are handled here: a raw limit is what is left when everything else is taken away.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Mapping, Sequence

from nats.aio.client import Client
from nats.aio.msg import Msg

Wire = tuple[str, bytes, Mapping[str, str]]  # subject, payload, headers


class Pipe:
    """Publishes with one reply inbox; waits for all acknowledgements of a batch, or for a place in the window."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._inbox = client.new_inbox()
        self._flying: dict[str, int] = {}
        self._count = 0
        self._heard = asyncio.Event()
        self._failed: list[bytes] = []

    async def start(self) -> None:
        """Subscribe to the inbox."""
        await self._client.subscribe(
            f"{self._inbox}.*", cb=self._acknowledged, pending_msgs_limit=-1, pending_bytes_limit=-1
        )

    async def publish_all(self, messages: Sequence[Wire], *, window: int = 2048) -> None:
        """Publish everything, at most `window` in flight; returns when all are acknowledged."""
        for message in messages:
            while len(self._flying) >= window:
                await self._some()
            await self.put(message)
        while self._flying:
            await self._some()

    async def put(self, message: Wire) -> None:
        """Publish one, without waiting."""
        subject, payload, headers = message
        self._count += 1
        token = str(self._count)
        self._flying[token] = 1
        await self._client.publish(subject, payload, reply=f"{self._inbox}.{token}", headers=dict(headers))

    async def settled(self) -> None:
        """Until everything is acknowledged."""
        while self._flying:
            await self._some()

    async def _some(self) -> None:
        self._heard.clear()
        await asyncio.wait_for(self._heard.wait(), 20)
        if self._failed:
            raise RuntimeError(self._failed[0].decode())

    async def _acknowledged(self, message: Msg) -> None:
        self._flying.pop(message.subject.rpartition(".")[2], None)
        if b'"seq"' not in message.data:
            self._failed.append(message.data)
        self._heard.set()


class Flow:
    """A continuous pull from a durable consumer."""

    def __init__(self, client: Client, *, stream: str, consumer: str, batch: int) -> None:
        self._client = client
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._batch = batch
        self._arrived: deque[Msg] = deque()
        self._something = asyncio.Event()
        self._asked_for = 0
        self._inbox = client.new_inbox()

    async def start(self) -> None:
        """Subscribe and ask."""
        await self._client.subscribe(self._inbox, cb=self._receive, pending_msgs_limit=-1, pending_bytes_limit=-1)
        await self._ask()

    async def next(self) -> list[Msg]:
        """What has arrived, at most a batch; nothing after half a second of silence."""
        if self._asked_for <= 0:
            await self._ask()
        if not self._arrived:
            self._something.clear()
            try:
                await asyncio.wait_for(self._something.wait(), 0.5)
            except TimeoutError:
                return []
        found = [self._arrived.popleft() for _ in range(min(self._batch, len(self._arrived)))]
        if self._asked_for + len(self._arrived) < self._batch:
            await self._ask()
        return found

    async def _ask(self) -> None:
        self._asked_for += self._batch
        request = json.dumps({"batch": self._batch, "expires": 20_000_000_000}).encode()
        await self._client.publish(self._subject, request, reply=self._inbox)

    async def _receive(self, message: Msg) -> None:
        if not message.data and message.headers and "Status" in message.headers:
            self._asked_for = 0
        else:
            self._asked_for -= 1
            self._arrived.append(message)
        self._something.set()
