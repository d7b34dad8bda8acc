"""Applications of 2 KB as clients send them, made beforehand: an open call, a person and a token for each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from uuid_utils.compat import uuid7

from bench import bare
from bench.ground import Ground
from bench.pipes import Wire
from clients.cli.call_file import read_call_file
from deploy.up import DEMO_CALL
from shared.client import Client, connected
from shared.contracts.aid_calls import CreateCall, SubmitApplication
from shared.contracts.people import Role, Sector
from shared.contracts.wire import CE_ID, CE_SOURCE, CE_SPEC, CE_TYPE, HEADER_CLIENT, HEADER_ID, HEADER_INSTANCE
from shared.identity import Actor, Authority

SIZE = 2048  # bytes of a command's JSON
INSTANCE = "bench"


async def open_call(ground: Ground) -> UUID:
    """A call that is open for a day."""
    async with connected(ground.stack.client_settings(instance=INSTANCE)) as client:
        return await _opened(client, token(ground, Role.ORGANISER))


async def _opened(client: Client, organiser: str) -> UUID:
    now = datetime.now(UTC)
    rules = read_call_file(DEMO_CALL).rules(opens_at=now, closes_at=now + timedelta(days=1))
    call_id = uuid7()
    fields = {**rules.model_dump(), "code": f"BENCH-{str(call_id)[-12:].upper()}"}
    outcome = await client.execute(CreateCall(call_id=call_id, **fields), actor=organiser)
    if not outcome.applied:
        raise RuntimeError(f"the call was refused: {outcome.problems}")
    return call_id


def token(ground: Ground, role: Role) -> str:
    """A token of somebody new, good for a long run."""
    authority = Authority(ground.stack.secrets.identity_key_file)
    return authority.issue(Actor(uuid7(), frozenset({role})), now=datetime.now(UTC), lifetime=timedelta(hours=12))


def application(call_id: UUID) -> SubmitApplication:
    """An application of 2 KB."""
    made = SubmitApplication.model_validate(
        {
            "application_id": uuid7(),
            "call_id": call_id,
            "region": "15",
            "birth": "1990-05-04",
            "sector": Sector.MUSIC,
            "requested": "500.00",
            "project": "Gira nacional de la banda «Los Andes»",
        }
    )
    missing = SIZE - len(made.model_dump_json().encode())
    return made.model_copy(update={"motivation": ("Motivo de la postulacion. " * 100)[:missing]})


def ours(ground: Ground, call_id: UUID, number: int) -> list[Wire]:
    """Commands as the client library puts them on the bus, one person each."""
    authority = Authority(ground.stack.secrets.identity_key_file)
    now, lifetime = datetime.now(UTC), timedelta(hours=12)

    def one() -> Wire:
        command_id = str(uuid7())
        actor = authority.issue(Actor(uuid7(), frozenset({Role.PARTICIPANT})), now=now, lifetime=lifetime)
        body = b'{"data":' + application(call_id).model_dump_json().encode() + b',"actor":"' + actor.encode() + b'"}'
        headers = {
            HEADER_ID: command_id,
            HEADER_CLIENT: "cli",
            HEADER_INSTANCE: INSTANCE,
            CE_SPEC: "1.0",
            CE_ID: command_id,
            CE_TYPE: SubmitApplication.type,
            CE_SOURCE: "/conecta/clients/cli",
        }
        return SubmitApplication.subject(), body, headers

    return [one() for _ in range(number)]


def raw(sizes: Sequence[int]) -> list[Wire]:
    """Bare commands of these sizes: those of `ours`, so that both sides store as many bytes."""

    def one(size: int) -> Wire:
        command = bare.Submit(
            command_id=uuid7(),
            application_id=uuid7(),
            call_id=uuid7(),
            person_id=uuid7(),
            project="Gira nacional de la banda «Los Andes»",
            motivation="",
        )
        missing = max(0, size - len(command.model_dump_json().encode()))
        body = command.model_copy(update={"motivation": ("Motivo de la postulacion. " * 120)[:missing]})
        return bare.COMMAND, body.model_dump_json().encode(), {"Nats-Msg-Id": str(command.command_id)}

    return [one(size) for size in sizes]
