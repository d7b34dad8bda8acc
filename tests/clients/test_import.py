"""`conecta import registrations` as its user types it, on a running system."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from deploy.embedded.ports import free_port
from deploy.embedded.stack import Stack
from shared.client import Client, connected
from shared.contracts.people import Document, Role
from shared.contracts.registration import (
    CancelRegistration,
    CreateMeeting,
    FindPerson,
    Meeting,
    MeetingAnswer,
    PersonFound,
    PublishMeeting,
    RegisterParticipant,
    RegistrationCounts,
    RegistrationCountsAnswer,
    ServiceStatus,
)
from shared.contracts.status import ServiceStatusAnswer
from shared.identity import Actor, Authority
from tests.clients.conftest import Ended, conecta

SAMPLE = Path(__file__).parents[1] / "data" / "inscripciones-conecta-festivales-2019.csv"
COUNTS = json.loads((SAMPLE.parent / "inscripciones.expected.json").read_text())
HEADING = "Nombres,Apellidos,DNI,Correo electrónico,Región\n"
STARTS_AT = datetime.now(UTC) + timedelta(days=30)


def token(stack: Stack, *roles: Role, regions: tuple[str, ...] = ()) -> str:
    authority = Authority(stack.secrets.identity_key_file)
    return authority.issue(Actor(uuid7(), frozenset(roles), frozenset(regions)), now=datetime.now(UTC))


@pytest.fixture
def organiser(stack: Stack) -> str:
    """An organiser's token."""
    return token(stack, Role.ORGANISER)


@pytest.fixture
async def client(stack: Stack) -> AsyncIterator[Client]:
    """A client of the running system, to look on."""
    async with connected(stack.client_settings("web", instance="looker")) as client:
        yield client


async def a_meeting(client: Client, organiser: str, *, published: bool = True, capacity: int = 500) -> MeetingAnswer:
    """A meeting of its own, published unless told otherwise."""
    meeting_id = uuid7()
    create = CreateMeeting(
        meeting_id=meeting_id,
        code=f"CONECTA-{meeting_id.hex.upper()[-12:]}",
        title="Encuentro CONECTA Cusco",
        theme="Gestión de festivales",
        city="Cusco",
        region="08",
        starts_at=STARTS_AT,
        ends_at=STARTS_AT + timedelta(days=3),
        capacity=capacity,
    )
    assert (await client.execute(create, actor=organiser)).applied
    if published:
        await publish(client, organiser, meeting_id)
    return await client.ask(Meeting(code=create.code), MeetingAnswer, actor=organiser)


async def publish(client: Client, organiser: str, meeting_id: Any) -> None:
    assert (await client.execute(PublishMeeting(meeting_id=meeting_id), actor=organiser)).applied


async def imported(stack: Stack, file: Path, meeting: str, actor: str, *more: str | Path, **changes: str) -> Ended:
    """What a user sees of an import."""
    arguments = ("import", "registrations", file, "--meeting", meeting, "--token", actor, *more)
    return await conecta(*arguments, data=stack.directory, **changes)


async def counts(client: Client, organiser: str, meeting: MeetingAnswer) -> RegistrationCountsAnswer:
    question = RegistrationCounts(meeting_id=meeting.meeting_id)
    return await client.ask(question, RegistrationCountsAnswer, actor=organiser)


async def last_fact(client: Client, organiser: str) -> int:
    """The sequence of the newest fact, once registration has nothing to publish."""
    async with asyncio.timeout(10):
        while not (await client.ask(ServiceStatus(), ServiceStatusAnswer, actor=organiser)).idle:
            pass
    return await client.last_sequence(subject="conecta.evt.registration.>")


def a_file(directory: Path, *rows: str) -> Path:
    """A small file of people."""
    file = directory / "[inscripciones].csv"  # square brackets, which are no markup
    file.write_text(HEADING + "\n".join(rows), encoding="utf-8")
    return file


def somebody(number: int, region: str = "Cusco", email: str = "") -> str:
    return f"Rosa,Quispe,{number:08},{email or f'rosa{number}@example.org'},{region}"


async def test_the_sample_is_imported_with_every_rejected_row_told_and_importing_it_again_changes_nothing(
    stack: Stack, client: Client, organiser: str, tmp_path: Path
) -> None:
    meeting = await a_meeting(client, organiser)
    first = await imported(stack, SAMPLE, meeting.code, organiser, "--rejected", tmp_path / "rejected.csv")
    assert json.loads(first.out) == {
        "rows": COUNTS["rows"],
        "sent": COUNTS["people"],
        "repeated_rows": COUNTS["repeated_rows"],
        "rejected_rows": COUNTS["rejected_rows"],
        "received_without_outcome_yet": 0,
    }
    reasons = {
        89: "región: no es una región del Perú",
        94: "correo: no es un correo electrónico",
        114: "fecha de nacimiento: no puede ser una fecha de nacimiento",
        166: "documento: no es un DNI: son 8 dígitos",
    }
    told = [line for line in first.err.splitlines() if line.startswith("Fila ")]
    assert told == [f"Fila {row}: {why}" for row, why in reasons.items()]
    assert "Columnas que no se usan: Marca temporal" in first.err
    with (tmp_path / "rejected.csv").open(encoding="utf-8-sig", newline="") as file:
        assert list(csv.reader(file)) == [["Fila", "Motivos"], *([str(row), why] for row, why in reasons.items())]
    before, after = await counts(client, organiser, meeting), await last_fact(client, organiser)
    assert (before.people, len(before.by_region)) == (COUNTS["people"], COUNTS["regions"])
    again = await imported(stack, SAMPLE, meeting.code, organiser)
    assert (first.code, again.code, again.out) == (1, 1, first.out)
    assert [line for line in again.err.splitlines() if line.startswith("Fila ")] == told
    assert await counts(client, organiser, meeting) == before
    assert await last_fact(client, organiser) == after


async def test_a_file_without_faults_ends_well(stack: Stack, client: Client, organiser: str, tmp_path: Path) -> None:
    meeting = await a_meeting(client, organiser, capacity=1)
    file = a_file(tmp_path, somebody(1001), somebody(1002))
    ended = await imported(stack, file, meeting.code, organiser, "--rejected", tmp_path / "none.csv")
    assert (ended.code, json.loads(ended.out)["sent"]) == (0, 2)
    assert (tmp_path / "none.csv").read_text(encoding="utf-8-sig") == "Fila,Motivos\n"
    found = await counts(client, organiser, meeting)
    assert (found.confirmed, found.waitlisted) == (1, 1)


async def test_who_has_cancelled_since_is_not_brought_back_by_the_same_file(
    stack: Stack, client: Client, organiser: str, tmp_path: Path
) -> None:
    meeting, file = await a_meeting(client, organiser), a_file(tmp_path, somebody(2001), somebody(2002))
    await imported(stack, file, meeting.code, organiser)
    document = Document(number="2001")
    person = await client.ask(FindPerson(document=document), PersonFound, actor=organiser)
    authority = Authority(stack.secrets.identity_key_file)
    rosa = authority.issue(Actor(person.person_id or uuid7(), frozenset({Role.PARTICIPANT})), now=datetime.now(UTC))
    asked = RegisterParticipant(registration_id=uuid7(), meeting_id=meeting.meeting_id)
    known = await client.execute(asked, actor=rosa)  # asking twice is one registration: its id
    cancel = CancelRegistration.model_validate({"registration_id": known.ids["registration_id"]})
    assert (await client.execute(cancel, actor=rosa)).applied
    assert (await imported(stack, file, meeting.code, organiser)).code == 0
    found = await counts(client, organiser, meeting)
    assert (found.confirmed, found.cancelled) == (1, 1)


async def test_what_came_too_early_is_told_before_any_row_is_sent_and_imported_once_it_is_time(
    stack: Stack, client: Client, organiser: str, tmp_path: Path
) -> None:
    meeting = await a_meeting(client, organiser, published=False)
    file = a_file(tmp_path, somebody(3001))
    early = await imported(stack, file, meeting.code, organiser)
    assert (early.code, early.out) == (3, "")
    assert "No se pudo importar: el encuentro todavía no se publica" in early.err
    await publish(client, organiser, meeting.meeting_id)
    assert (await imported(stack, file, meeting.code, organiser)).code == 0
    assert (await counts(client, organiser, meeting)).confirmed == 1


async def test_rows_that_the_service_refuses_are_told_like_the_others_and_may_be_imported_by_who_may(
    stack: Stack, client: Client, organiser: str, tmp_path: Path
) -> None:
    meeting = await a_meeting(client, organiser)
    file = a_file(tmp_path, somebody(4001), somebody(4002, region="Atlántida", email="rosa"), somebody(4003))
    elsewhere = token(stack, Role.ORGANISER, regions=("15",))
    refused = await imported(stack, file, meeting.code, elsewhere, "--rejected", tmp_path / "rejected.csv")
    not_theirs = "encuentro: no tiene permiso para esto"
    rows = [
        ["2", not_theirs],
        ["3", "correo: no es un correo electrónico; región: no es una región del Perú"],
        ["4", not_theirs],
    ]
    assert (refused.code, json.loads(refused.out)["rejected_rows"]) == (1, 3)
    with (tmp_path / "rejected.csv").open(encoding="utf-8-sig", newline="") as written:
        assert list(csv.reader(written))[1:] == rows
    assert [line for line in refused.err.splitlines() if line.startswith("Fila ")] == [
        f"Fila {row}: {why}" for row, why in rows
    ]
    again = await imported(stack, file, meeting.code, organiser)
    assert (again.code, json.loads(again.out)["rejected_rows"]) == (1, 1)
    assert (await counts(client, organiser, meeting)).confirmed == 2


async def test_somebody_who_may_not_is_told_before_any_row_is_sent(
    stack: Stack, client: Client, organiser: str, tmp_path: Path
) -> None:
    meeting, file = await a_meeting(client, organiser), a_file(tmp_path, somebody(5001))
    authority, team = Authority(stack.secrets.identity_key_file), Actor(uuid7(), frozenset({Role.ORGANISER}))
    expired = authority.issue(team, now=datetime.now(UTC) - timedelta(hours=2))
    tokens = ("nonsense", token(stack, Role.PARTICIPANT), expired)
    found = await asyncio.gather(*(imported(stack, file, meeting.code, one) for one in tokens))
    assert found == [Ended(3, "", "No se pudo importar: no tiene permiso para esto\n")] * 3
    assert (await counts(client, organiser, meeting)).people == 0


async def test_a_meeting_that_there_is_not_and_a_code_that_is_none_are_told(
    stack: Stack, organiser: str, tmp_path: Path
) -> None:
    file = a_file(tmp_path, somebody(6001))
    unknown, none = await asyncio.gather(
        imported(stack, file, "NO-SUCH-MEETING", organiser), imported(stack, file, "encuentro de cusco", organiser)
    )
    assert unknown == Ended(3, "", "No se pudo importar: no existe ese encuentro\n")
    assert none == Ended(2, "", "--meeting: no tiene el formato debido\n")


@pytest.mark.slow
async def test_a_bus_that_cannot_be_reached_is_told(stack: Stack, organiser: str, tmp_path: Path) -> None:
    nowhere = f"nats://127.0.0.1:{free_port()}"
    file = a_file(tmp_path, somebody(7001))
    ended = await imported(stack, file, "CONECTA", organiser, CONECTA_NATS_URLS=nowhere)
    assert (ended.code, ended.out) == (3, "")
    assert "No se pudo importar: no hay conexión con el sistema" in ended.err


async def test_without_a_system_here_the_user_is_told_what_is_missing(tmp_path: Path) -> None:
    file = a_file(tmp_path, somebody(8001))
    arguments = ("import", "registrations", file, "--meeting", "CONECTA", "--token", "x")
    ended = await conecta(*arguments, data=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert "CONECTA_NATS_SEED_FILE, CONECTA_RECEIPTS_KEY_FILE" in ended.err


async def test_files_that_cannot_be_read_are_told_without_asking_anybody(tmp_path: Path) -> None:
    contents = {
        b"": "está vacío",
        b"Nombres,DNI\nRosa,1\n": "le faltan columnas: Apellidos, Correo electrónico, Región",
        b"PK\x03\x04not really": "no se puede leer como hoja de cálculo",
    }
    files = [tmp_path / f"[{number}].csv" for number in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    arguments = ("--meeting", "X1", "--token", "x")
    found = await asyncio.gather(
        *(conecta("import", "registrations", file, *arguments, data=tmp_path) for file in files)
    )
    assert [(ended.code, ended.out) for ended in found] == [(2, "")] * 3
    for file, told, ended in zip(files, contents.values(), found, strict=True):
        assert f"{file.name} {told}" in ended.err
