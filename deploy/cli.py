"""The command `conecta`: runs and provisions the system, tells stories, and mounts the client's commands."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from rich.console import Console
from uuid_utils.compat import uuid7

from clients.cli.app import imports, receipt
from clients.cli.events import events
from deploy import run as one_service
from deploy.documents import docs
from deploy.operate.command import doctor, lag, replay
from deploy.operate.parked_command import parked_app
from deploy.provision.command import provision_app
from deploy.story import story
from deploy.up import up
from shared import log
from shared.contracts.people import Role
from shared.identity import Actor, Authority

app = App(name="conecta", help="Encuentros CONECTA: reuniones, ayudas a la movilidad, jurado e informes.")
app.command(up)
app.command(story)
app.command(receipt)
app.command(imports)
app.command(events)
app.command(provision_app)
app.command(docs)
app.command("bench.command:bench", name="bench")  # by name: only the checkout has it
app.command(doctor)
app.command(lag)
app.command(replay)
app.command(parked_app)

err = Console(stderr=True)


@app.command
def run(service: Literal["registration", "aid_calls", "evaluation", "notifications"]) -> None:
    """Run one service in this process, configured by the environment."""
    one_service.main([service])


@app.command
def token(
    *,
    role: list[Role],
    region: list[str] | None = None,
    person: str | None = None,
    hours: float = 1,
    key: Annotated[Path, Parameter(env_var="CONECTA_IDENTITY_KEY_FILE", help="The identity authority's private key.")],
) -> None:
    """Print an actor token, where the identity authority's key is at hand (the embedded stack)."""
    from uuid import UUID  # noqa: PLC0415 — keeps start-up short

    actor = Actor(UUID(person) if person else uuid7(), frozenset(role), frozenset(region or ()))
    print(Authority(key).issue(actor, now=datetime.now(UTC), lifetime=timedelta(hours=hours)))  # noqa: T201


def main() -> None:
    """Entry point: on the machine of an embedded stack, its clients' settings are the default."""
    log.aside()
    _use_local_stack(Path(os.environ.get("CONECTA_DATA", ".conecta")))
    app()


def _use_local_stack(directory: Path) -> None:
    for env in (directory / "clients" / "cli.env", directory / "clients" / "operator.env"):
        if not env.is_file() or not os.access(env, os.R_OK):
            continue
        for line in env.read_text().splitlines():
            name, _, value = line.partition("=")
            os.environ.setdefault(name, value)


if __name__ == "__main__":
    main()
