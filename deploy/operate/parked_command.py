"""`conecta parked list|show|requeue|discard`. A payload is shown only with `--payload`: it may be personal."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Annotated, Any, Literal, TypeVar

from cyclopts import App, Parameter

from deploy.operate.bus import BusAway, OperatorBus, operator_bus
from deploy.operate.command import AsJson, err, operator_settings, out
from deploy.operate.parked import NotParked, NotResolved, Parked, discard, parked, parked_message, requeue
from deploy.operate.tables import parked_table

parked_app = App(name="parked", help="Messages whose handling failed for good: look, put back, discard.")

Consumer = Literal["registration", "aid_calls", "evaluation", "notifications"]
T = TypeVar("T")


@parked_app.command(name="list")
def show_all(*, consumer: Consumer | None = None, as_json: AsJson = False) -> None:
    """What is parked: by whom, what it was, when, why, after how many attempts."""

    async def collect(bus: OperatorBus) -> list[Parked]:
        return [one async for one in parked(bus, consumer=consumer)]

    found = _on_the_bus(collect)
    if as_json:
        out.print_json(json.dumps([one.as_json() for one in found]))
    else:
        out.print(parked_table(found))


@parked_app.command
def show(
    sequence: int,
    *,
    payload: Annotated[bool, Parameter(help="The body too: it may hold personal data.", negative="")] = False,
) -> None:
    """One parked message with its headers."""
    found = _on_the_bus(lambda bus: parked_message(bus, sequence))
    out.print_json(json.dumps(found.as_json(payload=payload)))


@parked_app.command(name="requeue")
def put_back(
    *sequences: int,
    every: Annotated[bool, Parameter(name="--all", help="All of one service.", negative="")] = False,
    consumer: Consumer | None = None,
) -> None:
    """Have the service that parked them handle these messages again, as of the time they were first stored."""
    if every == bool(sequences) or every != (consumer is not None):
        err.print("Indique números, o --all con --consumer.")
        sys.exit(2)

    async def put(bus: OperatorBus) -> int:
        async def again(message: Parked) -> None:
            await requeue(bus, message)

        return await _each(bus, sequences, consumer, again)

    err.print(f"Devueltos a su servicio: {_on_the_bus(put)}")


@parked_app.command(name="discard")
def give_up(
    *sequences: int, why: Annotated[str, Parameter(help="Recorded, and told to the sender of a command.")]
) -> None:
    """Give these messages up for good; the sender of a command learns that it is rejected, and why."""
    if not sequences or not why.strip():
        err.print("Indique al menos un número, y el motivo con --why.")
        sys.exit(2)

    async def drop(bus: OperatorBus) -> int:
        async def away(message: Parked) -> None:
            await discard(bus, message, why=why.strip()[:300])

        return await _each(bus, sequences, None, away)

    err.print(f"Descartados: {_on_the_bus(drop)}")


async def _each(
    bus: OperatorBus, sequences: tuple[int, ...], consumer: str | None, act: Callable[[Parked], Awaitable[None]]
) -> int:
    """Those of one service, or these; all of them are looked up before anything is done."""
    if sequences:
        messages = [await parked_message(bus, sequence) for sequence in sequences]
    else:
        messages = [message async for message in parked(bus, consumer=consumer)]
    for message in messages:
        await act(message)
    return len(messages)


def _on_the_bus(act: Callable[[OperatorBus], Coroutine[Any, Any, T]]) -> T:
    async def run() -> T:
        async with operator_bus(settings) as bus:
            return await act(bus)

    settings = operator_settings()
    try:
        return asyncio.run(run())
    except NotParked as error:
        err.print(f"No hay un mensaje apartado con el número {error}.")
    except NotResolved as error:
        err.print(f"No se pudo; el mensaje sigue apartado: {error}", markup=False)
    except BusAway as error:
        err.print(f"El bus no responde: {error}", markup=False)
    sys.exit(1)
