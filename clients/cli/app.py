"""The commands of `conecta` that speak to a running system as any other client does."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import Progress

from clients.cli.people import register_people
from clients.cli.registrations_file import RegistrationsFile, UnreadableFile, read_registrations
from shared import receipts
from shared.client import ClientError, connected
from shared.contracts.problems import text
from shared.contracts.registration import Meeting, MeetingAnswer
from shared.contracts.wire import Problem
from shared.settings import ClientSettings

receipt = App(name="receipt", help="Signed receipts.")
imports = App(name="import", help="Bring in what a web form exported.")

out = Console()
err = Console(stderr=True)

_TOKEN = Annotated[str, Parameter(env_var="CONECTA_TOKEN", help="Actor token of an organiser (`conecta token`).")]


@receipt.command
def verify(
    file: Path,
    *,
    keys: Annotated[Path, Parameter(env_var="CONECTA_RECEIPTS_KEYS_FILE", help="Published public keys (JWK set).")],
) -> None:
    """Check a receipt offline: who signed it, and that it is about the command beside it."""
    try:
        claims = receipts.verify_file(file, keys)
    except (receipts.ReceiptRefused, OSError) as error:
        err.print(f"[red]No es un cargo válido:[/] {getattr(error, 'code', error)}")
        sys.exit(1)
    out.print_json(claims.model_dump_json())


@imports.command
def registrations(
    file: Path,
    *,
    meeting: str,
    token: _TOKEN,
    rejected: Annotated[Path | None, Parameter(help="Write rejected rows with all their reasons here (CSV).")] = None,
) -> None:
    """Register the people of a CSV or XLSX file at a meeting: one durable command each; safe to repeat."""
    try:
        read = read_registrations(file)
    except UnreadableFile as error:
        err.print(f"[red]No se puede leer:[/] {error}")
        sys.exit(2)
    if read.ignored:
        err.print(f"Columnas que no se usan: {', '.join(read.ignored)}", markup=False)
    for flag in read.flags:
        what = {"email": "correo", "phone": "teléfono"}[flag.what]
        rows = ", ".join(map(str, flag.rows))
        err.print(f"Revisar: el mismo {what} con documentos distintos en las filas {rows}")
    try:
        code = asyncio.run(_import(read, meeting=meeting, token=token))
    except ClientError as error:
        err.print(f"[red]No se pudo importar:[/] {text(Problem(code=error.code))}")
        sys.exit(3)
    if rejected is not None:
        read.write_rejected(rejected)
    sys.exit(code)


async def _import(read: RegistrationsFile, *, meeting: str, token: str) -> int:
    settings = ClientSettings(instance=f"import{os.getpid()}")
    async with connected(settings) as client:
        found = await client.ask(Meeting(code=meeting), MeetingAnswer, actor=token)
        with Progress(console=err) as progress:
            task = progress.add_task("Inscripciones", total=len(read.people))
            sent = await register_people(
                client,
                read.people,
                meeting_id=found.meeting_id,
                actor=token,
                seconds=60,
                advance=lambda: progress.advance(task),
            )
    refused = [(one.row, one.outcome.problems) for one in sent if one.outcome and not one.outcome.applied]
    refused += [(row.row, row.problems) for row in read.rejected]
    for row, problems in sorted(refused):
        err.print(f"Fila {row}: " + "; ".join(text(problem) for problem in problems))
    waiting = sum(one.outcome is None for one in sent)
    summary = {
        "rows": read.rows,
        "sent": len(sent),
        "repeated_rows": len(read.repeated),
        "rejected_rows": len(refused),
        "received_without_outcome_yet": waiting,
    }
    out.print_json(json.dumps(summary))
    return 1 if refused or waiting else 0
