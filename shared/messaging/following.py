"""Following EVENTS from a sequence without a consumer: batched direct gets, woken by the live subjects.

Stateless on the server, so that any number of clients may follow, and a follower that was cut off just asks for
what comes after the last fact it has.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.contracts import FACTS, Fact
from shared.contracts.wire import CE_ID, CE_TIME, CE_TYPE, STREAM_EVENTS

_GET = f"$JS.API.DIRECT.GET.{STREAM_EVENTS}"
_BATCH = 256


@dataclass(frozen=True, slots=True)
class Followed:
    """A fact with its place in EVENTS; `fact` is None for a type that this version does not know."""

    sequence: int
    type: str
    fact_id: UUID
    at: datetime
    fact: Fact | None


class Follower:
    """Follows the facts of one subject filter."""

    def __init__(self, client: Client, *, subject: str) -> None:
        self._client = client
        self._subject = subject

    async def follow(self, *, after: int) -> AsyncGenerator[Followed, None]:
        """Facts after a sequence, in order, for ever; survives reconnections."""
        news = asyncio.Event()

        async def wake(_: Msg) -> None:
            news.set()

        live = await self._client.subscribe(self._subject, cb=wake, pending_msgs_limit=-1, pending_bytes_limit=-1)
        try:
            while True:
                news.clear()
                batch, more = await self._batch(after)
                for followed in batch:
                    after = followed.sequence
                    yield followed
                if not more:
                    await _within(news, 2)
        finally:
            await live.unsubscribe()

    async def last_sequence(self) -> int:
        """The sequence of the newest fact on the subject; 0 when there is none."""
        reply = await self._client.request(_GET, json.dumps({"last_by_subj": self._subject}).encode(), timeout=5)
        headers = reply.headers or {}
        return 0 if "Status" in headers else int(headers["Nats-Sequence"])

    async def last_before(self, moment: datetime) -> int:
        """The sequence after which facts stored at or after a moment follow."""
        request = {"start_time": moment.astimezone(UTC).isoformat(), "next_by_subj": self._subject}
        reply = await self._client.request(_GET, json.dumps(request).encode(), timeout=5)
        headers = reply.headers or {}
        return await self.last_sequence() if "Status" in headers else int(headers["Nats-Sequence"]) - 1

    async def _batch(self, after: int) -> tuple[list[Followed], bool]:
        """Up to a batch of facts after a sequence, and whether there are more; what got lost is asked for again."""
        inbox = self._client.new_inbox()
        request = {"seq": after + 1, "batch": _BATCH, "next_by_subj": self._subject}
        found: list[Followed] = []
        subscription = await self._client.subscribe(inbox)
        try:
            await self._client.publish(_GET, json.dumps(request).encode(), reply=inbox)
            while True:
                message = await subscription.next_msg(timeout=2)
                headers = message.headers or {}
                if "Status" in headers:  # 204 end of batch, 404 nothing there
                    return found, int(headers.get("Nats-Num-Pending", 0)) > 0
                found.append(_followed(message.data, headers))
        except (nats.errors.Error, OSError):
            return found, False
        finally:
            await subscription.unsubscribe()


def _followed(data: bytes, headers: Mapping[str, str]) -> Followed:
    kind = FACTS.get(headers.get(CE_TYPE, ""))
    return Followed(
        sequence=int(headers["Nats-Sequence"]),
        type=headers.get(CE_TYPE, ""),
        fact_id=UUID(headers[CE_ID]),
        at=datetime.fromisoformat(headers[CE_TIME]),
        fact=kind.model_validate_json(data) if kind else None,
    )


async def _within(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
