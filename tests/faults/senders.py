"""Clients that repeat with the same id whenever they are unsure, and keep what they were told."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from uuid import UUID

from uuid_utils.compat import uuid7

from shared.client import Accepted, BusUnreachable, Client, StreamFull
from shared.contracts import Command
from shared.contracts.people import Role
from shared.contracts.wire import Outcome
from shared.identity import Actor, Authority


@dataclass(frozen=True, slots=True)
class Person:
    """On whose behalf a command is sent."""

    person_id: UUID
    role: Role


class Senders:
    """Several clients of different kinds; any of them may send any command, or the same one again."""

    def __init__(self, clients: list[Client], authority: Authority, rng: random.Random) -> None:
        self.receipts: list[Accepted] = []
        self.outcomes: dict[UUID, Outcome] = {}
        self.full = 0
        self.repeated = 0
        self._clients = clients
        self._authority = authority
        self._rng = rng
        self._changed = asyncio.Condition()

    async def received(self, number: int) -> None:
        """Until there are as many receipts as that."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.receipts) >= number)

    async def carry(
        self, command: Command, by: Person, *, command_id: UUID | None = None, patience: float = 420
    ) -> Outcome:
        """Send until the outcome is known; some at once three times, or from two clients. TimeoutError in the end."""
        command_id = command_id or uuid7()
        times = self._rng.choice((1, 1, 1, 1, 2, 3))
        deadline = monotonic() + patience
        while monotonic() < deadline:
            told = await asyncio.gather(*(self._once(command, by, command_id) for _ in range(times)))
            if outcome := next((one for one in told if one), None):
                self._note(outcome)
                return outcome
            self.repeated += 1
            times = 1
        raise TimeoutError(f"{command.name} {command_id}: no outcome in {patience} s")

    async def _once(self, command: Command, by: Person, command_id: UUID) -> Outcome | None:
        client = self._rng.choice(self._clients)
        dispatched = await client.dispatch(command, actor=self.token(by), command_id=command_id)
        try:
            accepted = await dispatched.accepted(patience=5)
        except BusUnreachable:
            return None
        except StreamFull:
            self.full += 1
            await asyncio.sleep(0.2)  # told to try again later
            return None
        async with self._changed:
            self.receipts.append(accepted)
            self._changed.notify_all()
        return await dispatched.outcome(seconds=8)

    def _note(self, outcome: Outcome) -> None:
        """An outcome never changes, whoever tells it however often."""
        assert self.outcomes.setdefault(outcome.command_id, outcome) == outcome

    def token(self, by: Person) -> str:
        """A fresh token."""
        return self._authority.issue(Actor(by.person_id, frozenset({by.role})), now=datetime.now(UTC))
