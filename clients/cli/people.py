"""Sends one registration per person of a file, for `conecta import registrations` and for stories."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar
from uuid import UUID, uuid5

from clients.cli.registrations_file import ImportedPerson
from shared.client import Client, Dispatched
from shared.contracts import Command
from shared.contracts.registration import RegisterParticipant
from shared.contracts.wire import Outcome

T = TypeVar("T")

# How many commands are under way at once.
WINDOW = 256
# An import of the same person to the same meeting is the same command: repeating it is safe.
_IMPORT = UUID("4b1d1d0e-5c0b-5b61-8a53-0f9f4f0c8d55")


class Sent(NamedTuple):
    """What became of one row: None if no outcome came in time (the receipt stands)."""

    row: int
    outcome: Outcome | None


async def register_people(
    client: Client,
    people: Sequence[ImportedPerson],
    *,
    meeting_id: UUID,
    actor: str,
    seconds: float,
    advance: Callable[[], object],
) -> list[Sent]:
    """Register people at a meeting; safe to repeat, since ids derive from the meeting and the document.

    What an earlier import did is not done again: who has cancelled since stays away. What was refused then is asked
    anew: the meeting may have been a draft, or the actor nobody who may.
    """
    started = datetime.now(UTC)

    async def one(person: ImportedPerson) -> Sent:
        command, command_id = _command(person, meeting_id)
        outcome = await settled(await client.dispatch(command, actor=actor, command_id=command_id), seconds=seconds)
        if outcome and not outcome.applied and outcome.decided_at < started:
            outcome = await settled(await client.dispatch(command, actor=actor), seconds=seconds)
        advance()
        return Sent(person.row, outcome)

    return await windowed([one(person) for person in people])


def _command(person: ImportedPerson, meeting_id: UUID) -> tuple[Command, UUID]:
    document = person.person.document
    who = f"{document.type}:{document.number}" if document else person.person.email
    registration_id = uuid5(_IMPORT, f"{meeting_id}:{who}")
    command = RegisterParticipant(registration_id=registration_id, meeting_id=meeting_id, person=person.person)
    # The command's id follows its content: a corrected row is a new command.
    return command, uuid5(registration_id, command.model_dump_json())


async def settled(dispatched: Dispatched, *, seconds: float) -> Outcome | None:
    """The outcome of a command once it is accepted."""
    await dispatched.accepted()
    return await dispatched.outcome(seconds=seconds)


async def windowed(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Run coroutines, a window of them at once, started in order; results in the same order."""
    gate = asyncio.Semaphore(WINDOW)

    async def one(coroutine: Coroutine[Any, Any, T]) -> T:
        async with gate:
            return await coroutine

    return list(await asyncio.gather(*(one(coroutine) for coroutine in work)))
