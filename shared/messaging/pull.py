"""A continuous pull from a durable consumer: hands over whatever has arrived, up to a batch, without waiting.

FastStream's own loop waits its timeout for a partial batch, spins when the connection is gone and is silent
when the consumer is (reliability.md, F1 and F5). This one asks again when an expected heartbeat stays away.

| what happens                               | what it does                                             |
|--------------------------------------------|----------------------------------------------------------|
| connection lost, server restarted          | no heartbeat for 12 s, or reconnected: asks again         |
| consumer or stream deleted (409, 503)      | `lost` says so (not ready), asks again every second       |
| request expired (408)                      | asks again                                               |
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from time import monotonic

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

ACK_WAIT = 10.0  # seconds; provisioned on every consumer
_EXPIRES = 20.0
_HEARTBEAT = 4.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Message:
    """A stored message as it was delivered: what it says, where it stands, when the bus stored it (µs)."""

    __slots__ = ("data", "delivered", "headers", "reply", "sequence", "stored_at", "subject")

    def __init__(self, msg: Msg) -> None:
        self.subject = msg.subject
        self.data = msg.data
        self.headers: Mapping[str, str] = msg.headers or {}
        self.reply = msg.reply
        # $JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<ns>.<pending>, or with domain and
        # account hash before the stream and a token after: count from where the stream's name stands.
        tokens = msg.reply.split(".")
        first = 2 if len(tokens) == 9 else 4
        self.delivered = int(tokens[first + 2])
        self.sequence = int(tokens[first + 3])
        self.stored_at = _EPOCH + timedelta(microseconds=int(tokens[first + 5]) // 1000)


class Pull:
    """The messages of one durable consumer, as they come."""

    def __init__(self, client: Client, *, stream: str, consumer: str, batch: int) -> None:
        self._client = client
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._batch = batch
        self._arrived: deque[Message] = deque()
        self._something = asyncio.Event()
        self._asked_for = 0
        self._heard_at = monotonic()
        self._inbox = ""
        self._subscription: Subscription | None = None
        self._stopped = False
        self.lost: str | None = "not started"

    @property
    def waiting(self) -> deque[Message]:
        """What has arrived and was not handed over yet."""
        return self._arrived

    async def start(self) -> None:
        """Subscribe to the inbox and ask for the first messages."""
        self._inbox = self._client.new_inbox()
        self._subscription = await self._client.subscribe(
            f"{self._inbox}.*", cb=self._receive, pending_msgs_limit=-1, pending_bytes_limit=-1
        )
        self.lost = None

    def stop(self) -> None:
        """Hand over nothing more."""
        self._stopped = True
        self._something.set()

    async def close(self) -> None:
        """Withdraw what was asked for: the server keeps for others what would have come here."""
        if self._subscription is not None:
            await self._subscription.unsubscribe()
            await self._client.flush(timeout=2)

    def ask_again(self) -> None:
        """Forget outstanding requests: the server that had them is gone."""
        self._asked_for = 0
        self._something.set()

    async def next(self, limit: int) -> list[Message]:
        """At least one message, at most `limit`, as soon as there are any; none when stopped."""
        while not self._stopped:
            await self._keep_asking()
            if self._arrived:
                return [self._arrived.popleft() for _ in range(min(limit, len(self._arrived)))]
            self._something.clear()
            try:
                await asyncio.wait_for(self._something.wait(), 1.0)
            except TimeoutError:
                if monotonic() - self._heard_at > 3 * _HEARTBEAT:
                    self._asked_for = 0
        return []

    async def _keep_asking(self) -> None:
        """Keep at least half a batch asked for, so that the server never waits for us under load."""
        if self._asked_for > self._batch // 2 or len(self._arrived) >= self._batch:
            return
        request = {
            "batch": self._batch,
            "expires": int(_EXPIRES * 1e9),
            "idle_heartbeat": int(_HEARTBEAT * 1e9),
        }
        self._asked_for += self._batch
        self._heard_at = monotonic()
        try:
            await self._client.publish(
                self._subject, json.dumps(request).encode(), reply=f"{self._inbox}.{self._batch}"
            )
        except (nats.errors.Error, OSError):
            self._asked_for = 0  # disconnected: next() tries again

    async def _receive(self, msg: Msg) -> None:
        self._heard_at = monotonic()
        if msg.data or not msg.headers or "Status" not in msg.headers:
            self._asked_for -= 1
            self.lost = None
            self._arrived.append(Message(msg))
            self._something.set()
            return
        await self._status(msg.headers["Status"], msg.headers)

    async def _status(self, status: str, headers: Mapping[str, str]) -> None:
        if status == "100":
            self.lost = None
            return
        left = int(headers.get("Nats-Pending-Messages", self._batch))
        self._asked_for = max(0, self._asked_for - left)
        description = headers.get("Description", "")
        if status == "503" or "Deleted" in description:
            self.lost = "consumer-missing"
            self._asked_for = self._batch  # ask again only when the heartbeat is missed, not in a spin
            self._heard_at = monotonic() - 3 * _HEARTBEAT + 1
            return
        self._something.set()
