"""The append-only journal of a service: facts are written in the transaction that made them true.

Nobody publishes a fact directly; `shared.relay` publishes what stands here. A record (stream PEOPLE) is noted
without its content, which is looked up when it is published, so that the journal never holds personal data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from uuid_utils.compat import uuid7

from shared.contracts import Fact, Record
from shared.db import Tx


class Entry(NamedTuple):
    """A fact or record to be noted, and the id of the command or fact that caused it."""

    what: Fact | Record
    cause: UUID | None


class Journal:
    """Appends to, and counts, one schema's journal."""

    def __init__(self, schema: str) -> None:
        self.channel = f"{schema}_journal"
        # Append in the order given, remember the positions as unpublished, wake the relay once per transaction.
        self._append = f"""
            with noted as (
                insert into {schema}.journal (fact_id, type, subject, thing, version, body, cause)
                select fact_id, type, subject, thing, version, body, cause
                  from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::json[], $7::uuid[])
                       with ordinality as new (fact_id, type, subject, thing, version, body, cause, place)
                 order by place
                returning position
            ), owed as (
                insert into {schema}.unpublished (position) select position from noted
            )
            select pg_notify('{self.channel}', '')
            """  # noqa: S608 — the schema is one of four literals
        # How many facts wait to be published.
        self._unpublished = f"select count(*) from {schema}.unpublished"  # noqa: S608

    async def append(self, tx: Tx, entries: Sequence[Entry]) -> None:
        """Note facts in this order, in this transaction."""
        if not entries:
            return
        await tx.execute(
            self._append,
            [uuid7() for _ in entries],
            [what.type for what, _ in entries],
            [what.bus_subject() for what, _ in entries],
            [what.thing() for what, _ in entries],
            [what.version for what, _ in entries],
            [what.model_dump_json() if isinstance(what, Fact) else None for what, _ in entries],
            [cause for _, cause in entries],
        )

    async def unpublished(self, tx: Tx) -> int:
        """How many facts wait to be published."""
        return int(await tx.fetchval(self._unpublished))
