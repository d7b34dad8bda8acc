"""`conecta up`: the embedded system in the foreground, with demo data if wanted, until Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.progress import Progress

from clients.cli.call_file import read_call_file
from clients.cli.registrations_file import read_registrations
from clients.cli.story import DEMO_RATE, Story
from deploy.embedded.datadir import DataDirectoryError, write_private
from deploy.embedded.output import Console as Lines
from deploy.embedded.stack import Options, Stack, running
from shared.client import Refused, connected
from shared.contracts.aid_calls import Call, CallAnswer
from shared.identity import Authority

DEMO = Path(__file__).parent / "demo"
DEMO_CALL = DEMO / "movilidad-cusco-2019.json"
DEMO_REGISTRATIONS = DEMO / "inscripciones-conecta-festivales-2019.csv"

err = Console(stderr=True)


def up(
    *,
    data: Annotated[Path, Parameter(env_var="CONECTA_DATA", help="Where everything is kept.")] = Path(".conecta"),
    demo: Annotated[bool, Parameter(help="Load the sample meeting, call and applications, once.")] = False,
    ready_file: Annotated[Path | None, Parameter(help="Written as JSON when all is ready: what is where.")] = None,
    sync_interval: Annotated[str, Parameter(help="How soon the bus has accepted messages on disk.")] = "always",
) -> None:
    """Run the whole system on this machine: servers, services, a local mailbox; state survives a restart."""
    ready_file = ready_file and ready_file.absolute()
    if ready_file is not None:
        ready_file.unlink(missing_ok=True)
    try:
        options = Options(sync_interval=sync_interval, usual_ports=True)
        asyncio.run(_up(data, demo=demo, ready_file=ready_file, options=options))
    except DataDirectoryError as error:
        err.print(f"[red]No se puede usar {data}:[/] {error}")
        sys.exit(2)
    finally:
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)


async def _up(data: Path, *, demo: bool, ready_file: Path | None, options: Options) -> None:
    async with running(data, console=Lines(sys.stderr), options=options) as stack:
        if demo:
            await _load_demo(stack)
        _say(stack)
        if ready_file is not None:
            write_private(ready_file, json.dumps(stack.places(), indent=1))
        await stack.supervisor.forever()


async def _load_demo(stack: Stack) -> None:
    call, people = read_call_file(DEMO_CALL), read_registrations(DEMO_REGISTRATIONS)
    async with connected(stack.client_settings(instance="demo")) as client:
        try:
            await client.ask(Call(code=call.call.code), CallAnswer)
        except Refused:
            with Progress(console=err) as progress:
                story = Story(
                    client=client,
                    authority=Authority(stack.secrets.identity_key_file),
                    receipt_keys=stack.secrets.receipts_keys_file,
                    registrations=people,
                    call=call,
                    rate=DEMO_RATE,
                    progress=progress,
                    open_for=timedelta(days=30),
                )
                await story.begin()


def _say(stack: Stack) -> None:
    places = stack.places()
    err.print("[bold green]Conecta está en marcha.[/] Ctrl-C para terminar.")
    err.print(f"  Correos        {places['mailbox_http']}")
    for service, url in places["health"].items():
        err.print(f"  {service:<14} {url}")
    err.print(f"  NATS           {places['nats']}")
    err.print(f"  PostgreSQL     {stack.postgres.socket_directory}", soft_wrap=True)
    err.print(f"  Registros      {stack.directory / 'logs'}", soft_wrap=True)
