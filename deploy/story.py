"""`conecta story`: the whole line, headless, on an ephemeral embedded stack, with the files given."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.progress import Progress

from clients.cli.call_file import CallFile, UnreadableCall, read_call_file
from clients.cli.registrations_file import RegistrationsFile, UnreadableFile, read_registrations
from clients.cli.story import DEMO_RATE, ExchangeRate, Story, StoryFailed, Told
from clients.cli.story_report import figures, parked, show
from deploy.embedded.stack import Stack, running
from shared.client import ClientError, connected
from shared.contracts import aid_calls, evaluation, notifications, registration
from shared.identity import Authority

err = Console(stderr=True)


def story(
    *,
    registrations: Annotated[Path, Parameter(help="What a web form exported (CSV or XLSX).")],
    call: Annotated[Path, Parameter(help="A call with its applications and reviews (JSON).")],
    json_out: Annotated[Path | None, Parameter(name="--json", help="Write the figures here.")] = None,
    keep: Annotated[
        Path | None,
        Parameter(help="Keep data, mails and receipts in this directory; `conecta up --data DIR` opens it."),
    ] = None,
    usd_rate: Annotated[str, Parameter(help="PEN per USD for the measure report.")] = DEMO_RATE.pen_per_usd,
    usd_rate_date: Annotated[str, Parameter(help="The day of that rate.")] = DEMO_RATE.date,
    usd_rate_source: Annotated[str, Parameter(help="Who publishes it.")] = DEMO_RATE.source,
) -> None:
    """Play the whole line with these files and print what happened; exit status 0 only if nothing was left over."""
    try:
        people, filed = read_registrations(registrations), read_call_file(call)
    except (UnreadableFile, UnreadableCall) as error:
        err.print(str(error), markup=False)
        sys.exit(2)
    rate = ExchangeRate(usd_rate, usd_rate_date, usd_rate_source)
    with ExitStack() as cleanup:
        directory = keep
        if directory is None:
            directory = Path(tempfile.mkdtemp(prefix="conecta-story-"))
            cleanup.callback(shutil.rmtree, directory)
        try:
            found, told, left_over = asyncio.run(_play(directory, people, filed, rate, kept=keep is not None))
        except (StoryFailed, ClientError) as error:
            err.print(f"La historia no terminó: {error}", markup=False)
            sys.exit(1)
    show(Console(), found, told)
    if json_out is not None:
        json_out.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n")
    if told.without_outcome or left_over:
        err.print(f"Sin resultado: {told.without_outcome} comandos; apartados: {left_over} mensajes")
        sys.exit(1)


async def _play(
    directory: Path, people: RegistrationsFile, filed: CallFile, rate: ExchangeRate, *, kept: bool
) -> tuple[dict[str, Any], Told, int]:
    err.print("Preparando servidores y servicios…")
    async with running(directory) as stack:
        receipts = _receipts_directory(stack) if kept else None
        async with prepared(stack, people, filed, rate, keep_receipts=receipts) as story:
            await story.tell()
            return await ended(story, people, filed)


def _receipts_directory(stack: Stack) -> Path:
    """Where receipts are kept, with the published keys that they verify against."""
    directory = stack.directory / "receipts"
    directory.mkdir(mode=0o700, exist_ok=True)
    shutil.copy(stack.secrets.receipts_keys_file, directory / "public.jwks")
    return directory


async def play_on(
    stack: Stack, people: RegistrationsFile, filed: CallFile, rate: ExchangeRate = DEMO_RATE
) -> tuple[dict[str, Any], Told, int]:
    """Play a story on a running stack: its figures, what was told, how many messages are parked."""
    async with prepared(stack, people, filed, rate) as story:
        await story.tell()
        return await ended(story, people, filed)


@asynccontextmanager
async def prepared(
    stack: Stack,
    people: RegistrationsFile,
    filed: CallFile,
    rate: ExchangeRate = DEMO_RATE,
    *,
    keep_receipts: Path | None = None,
) -> AsyncIterator[Story]:
    """A story on a running stack, not begun yet."""
    async with connected(stack.client_settings(instance="story")) as client:
        with Progress(console=err) as progress:
            yield Story(
                client=client,
                authority=Authority(stack.secrets.identity_key_file),
                receipt_keys=stack.secrets.receipts_keys_file,
                registrations=people,
                call=filed,
                rate=rate,
                progress=progress,
                keep_receipts=keep_receipts,
            )


async def ended(story: Story, people: RegistrationsFile, filed: CallFile) -> tuple[dict[str, Any], Told, int]:
    """The figures of a story that was told, what was told, how many messages are parked."""
    found = await figures(story, registrations=people, call=filed)
    modules = (registration, aid_calls, evaluation, notifications)
    return found, story.told, await parked(story, [module.ServiceStatus() for module in modules])
