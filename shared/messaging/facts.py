"""Facts and records that a service hears: runs of one kind go to their handler together, in order.

Repeated and re-ordered deliveries are harmless by construction: a handler upserts by version, or writes under a
natural unique key (fact id, recipient, template).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from uuid import UUID

from shared.contracts import Fact, Record
from shared.contracts.wire import CE_ID, CE_TIME, CE_TYPE
from shared.db import Tx, is_outage
from shared.journal import Entry, Journal
from shared.log import logger
from shared.messaging import metrics
from shared.messaging.bookkeeping import Bookkeeping
from shared.messaging.consumer import Done, Failed, Verdict, described, savepoint
from shared.messaging.decisions import FactTable, Heard
from shared.messaging.pull import Message

log = logger(__name__)


class FactWork:
    """Carries out what one service does when it hears facts of one stream."""

    def __init__(
        self, *, service: str, stream: str, table: FactTable, journal: Journal, bookkeeping: Bookkeeping
    ) -> None:
        self._service = service
        self._stream = stream
        self._table = table
        self._by_type = {kind.type: kind for kind in table}
        self._journal = journal
        self._bookkeeping = bookkeeping

    def message_id(self, message: Message) -> str:
        """Its place in the stream."""
        return str(message.sequence)

    async def carry_out(self, tx: Tx, messages: Sequence[Message]) -> list[Verdict]:
        """A verdict per message, in order."""
        verdicts: list[Verdict] = []
        for kind, run in groupby(messages, key=lambda message: self._by_type.get(message.headers.get(CE_TYPE, ""))):
            group = list(run)
            # Alone in the transaction: no savepoint, the consumer tries again one message at a time.
            alone = len(group) == len(messages)
            if kind is None:  # a fact that this version does not know, on a subject that it hears
                verdicts += [Done()] * len(group)
                continue
            verdicts += await self._together(tx, kind, group, alone=alone)
            metrics.FACTS.labels(self._service, kind.name).inc(len(group))
        return verdicts

    async def _together(self, tx: Tx, kind: type[Fact | Record], group: list[Message], *, alone: bool) -> list[Verdict]:
        try:
            async with savepoint(tx, alone=alone):
                await self._hear(tx, kind, group)
        except Exception as error:
            if alone or is_outage(error):
                raise
            if len(group) > 1:
                return [(await self._together(tx, kind, [message], alone=False))[0] for message in group]
            text = described(error)
            attempts = await self._bookkeeping.failed(
                tx, consumer=self._stream, message_id=self.message_id(group[0]), error=text
            )
            return [Failed(attempts, text)]
        log.info("heard", fact=kind.name, number=len(group), last=group[-1].sequence)
        return [Done()] * len(group)

    async def _hear(self, tx: Tx, kind: type[Fact | Record], group: list[Message]) -> None:
        heard = [
            Heard(
                fact=kind.model_validate_json(message.data),
                fact_id=UUID(message.headers[CE_ID]),
                at=datetime.fromisoformat(message.headers[CE_TIME]),
            )
            for message in group
        ]
        facts = await self._table[kind](tx, heard)
        await self._journal.append(tx, [Entry(fact, heard[-1].fact_id) for fact in facts])
