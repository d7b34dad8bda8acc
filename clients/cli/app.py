"""The commands of `conecta` that speak to a running system as any other client does."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from pydantic import ValidationError
from rich.console import Console
from rich.progress import Progress

from clients.cli.people import register_people
from clients.cli.registrations_file import RegistrationsFile, RejectedRow, UnreadableFile, read_registrations
from shared import receipts
from shared.client import ClientError, Refused, connected
from shared.contracts.problems import sentence, text
from shared.contracts.registration import Meeting, MeetingAnswer, RegistrationCounts, RegistrationCountsAnswer
from shared.contracts.wire import Problem, problems_of
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
        _say(f"No es un cargo válido: {_why(error)}")
        sys.exit(1)
    out.print_json(claims.model_dump_json())


def _why(error: receipts.ReceiptRefused | OSError) -> str:
    if isinstance(error, receipts.ReceiptRefused):
        return text(Problem(code=error.code))
    return f"no se puede leer {error.filename}: {error.strerror}"


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
        _say(f"No se puede leer: {error}")
        sys.exit(2)
    if read.ignored:
        _say(f"Columnas que no se usan: {', '.join(read.ignored)}")
    for flag in read.flags:
        what = {"email": "correo", "phone": "teléfono"}[flag.what]
        rows = ", ".join(map(str, flag.rows))
        _say(f"Revisar: el mismo {what} con documentos distintos en las filas {rows}")
    try:
        question = Meeting(code=meeting)
    except ValidationError as error:
        _say(f"--meeting: {'; '.join(sentence(one.code, one.detail) for one in problems_of(error))}")
        sys.exit(2)
    try:
        refused, waiting = asyncio.run(_import(read, _settings(), meeting=question, token=token))
    except ClientError as error:
        _say(f"No se pudo importar: {text(Problem(code=error.code))}")
        sys.exit(3)
    for one in sorted([*read.rejected, *refused], key=lambda one: one.row):
        _say(f"Fila {one.row}: {one.reasons}")
    summary = {
        "rows": read.rows,
        "sent": len(read.people),
        "repeated_rows": len(read.repeated),
        "rejected_rows": len(read.rejected) + len(refused),
        "received_without_outcome_yet": waiting,
    }
    out.print_json(json.dumps(summary))
    if rejected is not None:
        _write_rejected(read, refused, rejected)
    sys.exit(1 if read.rejected or refused or waiting else 0)


def _settings() -> ClientSettings:
    """How to reach the system, or a word about what the environment lacks."""
    try:
        settings = ClientSettings(instance=f"import{os.getpid()}")
        settings.seed()
    except (ValidationError, OSError) as error:
        faults = error.errors() if isinstance(error, ValidationError) else ()
        names = [f"CONECTA_{'_'.join(map(str, fault['loc'])).upper()}" for fault in faults] or [str(error)]
        _say(
            f"No se sabe cómo llegar al sistema: {', '.join(names)}. ¿Está en marcha (conecta up), en este directorio?"
        )
        sys.exit(2)
    return settings


def _write_rejected(read: RegistrationsFile, refused: Sequence[RejectedRow], path: Path) -> None:
    try:
        read.write_rejected(path, refused=refused)
    except OSError as error:
        _say(f"No se puede escribir {path}: {error.strerror}")
        sys.exit(2)


def _say(words: str) -> None:
    """A line for a person, as long as it is: file names and reasons are no markup."""
    err.print(words, markup=False, soft_wrap=True, highlight=False)


async def _import(
    read: RegistrationsFile, settings: ClientSettings, *, meeting: Meeting, token: str
) -> tuple[list[RejectedRow], int]:
    """Register everybody; the rows that were refused, and how many have a receipt but no outcome yet."""
    async with connected(settings) as client:
        found = await client.ask(meeting, MeetingAnswer, actor=token)
        # Before every row is refused for the same reason: is this the team, and is there anything to register for?
        await client.ask(RegistrationCounts(meeting_id=found.meeting_id), RegistrationCountsAnswer, actor=token)
        if found.state == "draft":
            raise Refused("meeting-not-published", ())
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
    refused = [RejectedRow(one.row, one.outcome.problems) for one in sent if one.outcome and not one.outcome.applied]
    return refused, sum(one.outcome is None for one in sent)
