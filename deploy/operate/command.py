"""The operators' commands of `conecta`; `deploy/cli.py` mounts them. Results on stdout, everything else on stderr."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Annotated, Literal

from cyclopts import Parameter
from pydantic import ValidationError
from rich.console import Console
from rich.progress import Progress

from clients.cli.events import UnreadablePosition, read_position
from deploy.operate.bus import BusAway
from deploy.operate.doctor import examine
from deploy.operate.journals import DatabaseAway
from deploy.operate.lag import measure
from deploy.operate.replay import replay as replay_journal
from deploy.operate.tables import lag_tables
from shared.messaging.bus import PublishRefused, PublishUnknown
from shared.settings import OperatorSettings

out = Console()
err = Console(stderr=True)

AsJson = Annotated[bool, Parameter(name="--json", help="As JSON, for machines.", negative="")]


def lag(*, as_json: AsJson = False) -> None:
    """How far behind streams, consumers, journals and mails are, and which part gives no answer."""
    found = asyncio.run(measure(operator_settings()))
    if as_json:
        out.print_json(json.dumps(found.as_json()))
    else:
        for table in lag_tables(found):
            out.print(table)
    for what, why in found.away.items():
        err.print(f"[red]No responde:[/] {what} ({why})")


def operator_settings() -> OperatorSettings:
    """Where everything is; ends with exit status 2 when the environment does not say."""
    try:
        return OperatorSettings()
    except ValidationError as error:
        names = ", ".join(f"CONECTA_OPERATOR_{str(one['loc'][0]).upper()}" for one in error.errors())
        err.print(f"No se sabe dónde está el sistema: faltan o no valen {names}; o indique CONECTA_DATA.")
        sys.exit(2)


def replay(
    service: Literal["registration", "aid_calls", "evaluation", "notifications"],
    /,
    *,
    start: Annotated[
        str | None, Parameter(name="--from", help="A position of the journal or a time (ISO 8601). Default: all.")
    ] = None,
) -> None:
    """Publish again, from a service's journal, what EVENTS and PEOPLE lack; safe to repeat, also while it runs."""
    try:
        position = read_position(start)
    except UnreadablePosition:
        err.print(f"--from: ni un número ni una fecha: {start}", markup=False)
        sys.exit(2)
    settings = operator_settings()
    try:
        with Progress(console=err) as progress:
            task = progress.add_task(f"Diario de {service}", total=None)

            def advance(number: int, total: int) -> None:
                progress.update(task, advance=number, total=total)

            done = asyncio.run(replay_journal(settings, service, start=position, advance=advance))
    except (BusAway, DatabaseAway, PublishRefused, PublishUnknown) as error:
        err.print(f"No terminó ({error}); se puede repetir y sigue donde quedó.", markup=False)
        sys.exit(1)
    err.print(f"Hechos publicados de nuevo: {done.facts}; ya estaban: {done.facts_there}")
    err.print(f"Personas publicadas de nuevo: {done.records}; ya estaban: {done.records_there}")


def doctor(*, as_json: AsJson = False) -> None:
    """What is wrong and what to do about it; exit status 1 if anything is."""
    found = asyncio.run(examine(operator_settings()))
    if as_json:
        told = [{"what": one.what, "advice": one.advice} for one in found]
        out.print_json(json.dumps({"ok": not found, "findings": told}))
    elif not found:
        out.print("Todo está en orden.")
    for one in [] if as_json else found:
        out.print(f"✗ {one.what}", style="red", markup=False)
        out.print(f"  → {one.advice}", markup=False)
    sys.exit(1 if found else 0)
