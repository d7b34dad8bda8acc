"""What operators decided about parked messages: put back as if it had never failed, or discarded for good.

Only the operators' user of the bus may publish on these subjects, so that its headers are believed: above all the
time at which the bus first stored a command, which alone decides what is late (decision record 0020).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from shared.contracts.wire import (
    HEADER_ID,
    HEADER_PARKED_AT,
    HEADER_PARKED_ID,
    HEADER_PARKED_SEQUENCE,
    HEADER_PARKED_STREAM,
    HEADER_PARKED_SUBJECT,
    HEADER_WHY,
    PARKED_HEADERS,
)
from shared.db import Tx
from shared.log import logger
from shared.messaging.consumer import Done, Verdict, Work
from shared.messaging.pull import Message

log = logger(__name__)

REQUEUED, DISCARDED = "requeued", "discarded"
_NEEDED = {HEADER_PARKED_STREAM, HEADER_PARKED_SUBJECT, HEADER_PARKED_SEQUENCE, HEADER_PARKED_AT}


class Original(Message):
    """A parked message as it stood in its own stream, with its place and its time there."""

    __slots__ = ()

    def __init__(self, resolved: Message) -> None:  # what it is made of is not on its way from the server
        told = resolved.headers
        own = {name: value for name, value in told.items() if name not in PARKED_HEADERS and name != HEADER_ID}
        self.subject = told[HEADER_PARKED_SUBJECT]
        self.data = resolved.data
        self.headers = own | ({HEADER_ID: told[HEADER_PARKED_ID]} if told.get(HEADER_PARKED_ID) else {})
        self.reply = resolved.reply
        self.delivered = resolved.delivered
        self.sequence = int(told[HEADER_PARKED_SEQUENCE])
        self.stored_at = datetime.fromisoformat(told[HEADER_PARKED_AT])


class Discards(Protocol):
    """What is left to do about a message that an operator discards."""

    async def discard(self, tx: Tx, message: Message, *, why: str) -> Verdict:
        """Note that it will not be carried out."""


class ResolvedWork:
    """Hands each message to the work of the stream that it came from. One at a time: see `Service`."""

    def __init__(self, *, works: Mapping[str, Work], commands: Discards) -> None:
        self._works = works
        self._commands = commands

    def message_id(self, message: Message) -> str:
        """Its place in RESOLVED: a message that is put back has all its attempts again."""
        return str(message.sequence)

    async def carry_out(self, tx: Tx, messages: Sequence[Message]) -> list[Verdict]:
        """A verdict per message, in order."""
        return [await self._one(tx, message) for message in messages]

    async def _one(self, tx: Tx, message: Message) -> Verdict:
        if not message.headers.keys() >= _NEEDED:
            log.error("not-resolved", sequence=message.sequence, error="it does not say what it was")
            return Done()
        original, stream = Original(message), message.headers[HEADER_PARKED_STREAM]
        how = message.subject.rpartition(".")[2]
        log.info("resolved", how=how, stream=stream, sequence=original.sequence, subject=original.subject)
        if how == DISCARDED:
            if original.subject.startswith("conecta.cmd."):
                return await self._commands.discard(tx, original, why=json.loads(message.headers.get(HEADER_WHY, '""')))
            return Done()
        [verdict] = await self._works[stream].carry_out(tx, [original])
        return verdict
