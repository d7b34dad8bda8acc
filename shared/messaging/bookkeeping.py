"""The tables that make handling happen once: commands decided, and attempts that failed, per schema."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from shared.contracts.wire import Outcome
from shared.db import Retry, Tx


class Bookkeeping:
    """Reads and writes one schema's `commands` and `failures`."""

    def __init__(self, schema: str) -> None:
        # Outcomes of those of these commands that are decided already.
        self._decided = f"select outcome from {schema}.commands where command_id = any($1::uuid[])"  # noqa: S608
        # Note outcomes; a command that another replica has just decided makes the insert fail.
        self._decide = f"""
            insert into {schema}.commands (command_id, outcome, decided_at)
            select * from unnest($1::uuid[], $2::json[], $3::timestamptz[])
            """  # noqa: S608
        # One more failed attempt; how many there are now.
        self._failed = f"""
            insert into {schema}.failures as f (consumer, message_id, attempts, error)
            values ($1, $2, 1, $3)
            on conflict (consumer, message_id)
            do update set attempts = f.attempts + 1, error = excluded.error, last_at = now()
            returning attempts
            """  # noqa: S608
        # Forget the failed attempts of messages that are settled.
        self._settled = f"delete from {schema}.failures where consumer = $1 and message_id = any($2::text[])"  # noqa: S608

    async def decided(self, tx: Tx, ids: Sequence[UUID]) -> dict[UUID, Outcome]:
        """Outcomes of those of these commands that are decided already."""
        rows = await tx.fetch(self._decided, ids)
        outcomes = (Outcome.model_validate_json(row["outcome"]) for row in rows)
        return {outcome.command_id: outcome for outcome in outcomes}

    async def decide(self, tx: Tx, outcomes: Sequence[Outcome]) -> None:
        """Note outcomes; raises Retry when another replica decided one of them in between."""
        try:
            await tx.execute(
                self._decide,
                [outcome.command_id for outcome in outcomes],
                [outcome.model_dump_json() for outcome in outcomes],
                [outcome.decided_at for outcome in outcomes],
            )
        except asyncpg.UniqueViolationError as error:
            raise Retry from error

    async def failed(self, tx: Tx, *, consumer: str, message_id: str, error: str) -> int:
        """One more failed attempt; how many there are now."""
        return int(await tx.fetchval(self._failed, consumer, message_id, error))

    async def settled(self, tx: Tx, *, consumer: str, message_ids: Sequence[str]) -> None:
        """Forget the failed attempts of messages that are settled."""
        if message_ids:
            await tx.execute(self._settled, consumer, message_ids)
