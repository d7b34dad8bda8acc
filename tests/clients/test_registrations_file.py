from __future__ import annotations

import csv
import io
import json
from datetime import date, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clients.cli.registrations_file import Flag, RegistrationsFile, RepeatedRow, UnreadableFile, read_registrations
from shared.contracts.people import Document, DocumentType, Gender, PersonDetails, Sector
from shared.contracts.problems import text
from tests.data import messy_registrations
from tests.data.messy_registrations import Truth

DATA = Path(__file__).parents[1] / "data"
TODAY = date(2026, 11, 24)
FULL = "Nombres;Apellidos;DNI;Correo;Nacimiento;Región;Sector;Género;Teléfono\n"
ROSA = "Rosa;Ñahui;7676661;ROSA@example.org;19/04/1977;Ica;Música;mujer;949859318\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "respuestas.csv"


def read(file: Path, content: str) -> RegistrationsFile:
    file.write_text(content, "utf-8")
    return read_registrations(file, today=TODAY)


def rejected(read: RegistrationsFile) -> dict[int, list[tuple[str | None, str]]]:
    """The reasons of each rejected row."""
    return {one.row: [(problem.field, problem.code) for problem in one.problems] for one in read.rejected}


def test_the_sample_gives_the_expected_figures() -> None:
    sample = read_registrations(DATA / "inscripciones-conecta-festivales-2019.csv")
    assert {
        "rows": sample.rows,
        "people": len(sample.people),
        "repeated_rows": len(sample.repeated),
        "rejected_rows": len(sample.rejected),
        "regions": sample.regions,
    } == json.loads((DATA / "inscripciones.expected.json").read_text("utf-8"))
    assert (sample.flags, sample.ignored) == ([], ["Marca temporal"])


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_of_every_row_of_a_messy_file_the_truth_is_found(tmp_path: Path, suffix: str, seed: int) -> None:
    random = Random(seed)  # noqa: S311 — the same again, not secret
    file = tmp_path / f"respuestas{suffix}"
    truth = messy_registrations.write(messy_registrations.people(random, 640), file, random)
    assert found(read_registrations(file, today=TODAY)) == truth


def found(read: RegistrationsFile) -> Truth:
    """What was read, as the generator tells the truth."""
    return Truth(
        counts={
            "rows": read.rows,
            "people": len(read.people),
            "repeated_rows": len(read.repeated),
            "rejected_rows": len(read.rejected),
            "regions": read.regions,
        },
        people={one.row: _plain(one.person) for one in read.people},
        rejected={row: {f"{field} {code}" for field, code in problems} for row, problems in rejected(read).items()},
        repeated={one.row: one.of_row for one in read.repeated},
    )


def _plain(person: PersonDetails) -> dict[str, str]:
    assert person.document is not None
    told = person.model_dump(mode="json", exclude={"document", "language", "consents"})
    return {**told, "document": person.document.number}


def test_a_person_is_read_whole(file: Path) -> None:
    person = PersonDetails(
        document=Document(number="07676661"),
        given="Rosa",
        family="Ñahui",
        email="rosa@example.org",
        phone="+51949859318",
        birth=date(1977, 4, 19),
        region="11",
        sector=Sector.MUSIC,
        gender=Gender.WOMAN,
    )
    assert [one.person for one in read(file, FULL + ROSA).people] == [person]


def test_what_need_not_be_told_may_be_left_out(file: Path) -> None:
    people = read(file, FULL + "Rosa;Ñahui;7676661;rosa@example.org;;Ica;-;;no tengo\n").people
    assert [(one.person.birth, one.person.sector, one.person.gender, one.person.phone) for one in people] == [
        (None, None, None, None)
    ]


def test_all_reasons_of_a_row_are_told_in_order(file: Path) -> None:
    spoilt = " ;-;123456789;x@y;31/02/1980;Atlántida;Agricultura;quizás;12345\n"
    assert rejected(read(file, FULL + ROSA + "\n" + spoilt)) == {
        4: [
            ("given", "required"),
            ("family", "required"),
            ("document", "invalid-dni"),
            ("email", "invalid-email"),
            ("birth", "invalid-birth-date"),
            ("region", "unknown-region"),
            ("sector", "unknown-sector"),
            ("gender", "unknown-gender"),
            ("phone", "invalid-phone"),
        ]
    }


def test_a_short_row_lacks_what_it_lacks(file: Path) -> None:
    assert rejected(read(file, FULL + "Rosa\n")) == {
        2: [("family", "required"), ("document", "required"), ("email", "required"), ("region", "required")]
    }


def test_a_name_too_long_or_unstorable_is_a_problem_and_no_accident(file: Path) -> None:
    long = ROSA.replace("Rosa;", f"{'R' * 121};") + ROSA.replace("Ñahui", "Ña\0hui")
    assert rejected(read(file, FULL + ROSA + long)) == {
        3: [("given", "too-long")],
        4: [("family", "invalid-character")],
    }


def test_letters_that_cannot_be_read_are_a_problem_of_their_row(file: Path) -> None:
    file.write_bytes((FULL + ROSA).encode() + b"Mar\xeda;Paz;12345678;m\xe1@example.org;;Ica;M\xfasica;;\n")
    damaged = [("given", "damaged-text"), ("email", "damaged-text"), ("sector", "damaged-text")]
    assert rejected(read_registrations(file)) == {3: damaged}


def test_the_first_row_of_a_document_wins_and_a_rejected_one_is_none(file: Path) -> None:
    rows = [
        ROSA.replace("Ica", "Atlántida"),
        ROSA,
        ROSA.replace("7676661", "07676661").replace("Rosa", "Rosa María"),
        ROSA.replace("Ica", "Atlántida"),
    ]
    twice = read(file, FULL + "".join(rows))
    assert [(one.row, one.person.given) for one in twice.people] == [(3, "Rosa")]
    assert twice.repeated == [RepeatedRow(row=4, of_row=3)]
    assert list(rejected(twice)) == [2, 5]
    assert twice.rows == 4


def test_blank_rows_and_repeated_headings_are_no_rows(file: Path) -> None:
    joined = read(file, "Inscripciones 2019;;;\n\n" + FULL + ";;;;;;;;\n" + ROSA + "\n" + FULL + "  ; ;;;\n")
    assert (joined.rows, [one.row for one in joined.people]) == (1, [5])


def test_the_same_address_or_phone_under_two_documents_is_flagged_and_not_merged(file: Path) -> None:
    others = [
        ROSA.replace("7676661", "12345678").replace("949859318", "974009052"),
        ROSA.replace("7676661", "87654321").replace("ROSA", "luz"),
        ROSA,
    ]
    shared = read(file, FULL + ROSA + "".join(others))
    assert len(shared.people) == 3
    assert shared.flags == [Flag("email", (2, 3)), Flag("phone", (2, 4))]


def test_the_type_of_a_document_decides_how_its_number_is_read(file: Path) -> None:
    heading = "Nombres;Apellidos;Tipo de documento;N° de documento;Correo;Región\n"
    numbers = [
        ("Carné de extranjería", "000123456"),
        ("Pasaporte", "ab 12345"),
        ("", "7676661"),
        ("DNI", "AB12345"),
        ("Libreta militar", "AB12345"),
        ("Pasaporte", "a/b"),
    ]
    rows = [f"Ana;Paz;{kind};{number};a@example.org;Ica\n" for kind, number in numbers]
    typed = read(file, heading + "".join(rows))
    assert [one.person.document for one in typed.people] == [
        Document(type=DocumentType.FOREIGNER_CARD, number="000123456"),
        Document(type=DocumentType.PASSPORT, number="AB12345"),
        Document(type=DocumentType.DNI, number="07676661"),
    ]
    assert rejected(typed) == {
        5: [("document", "invalid-dni")],
        6: [("document.type", "unknown-document-type")],
        7: [("document", "invalid-document")],
    }


def test_two_family_names_in_two_columns_are_one_and_two_phones_the_first_there_is(file: Path) -> None:
    heading = "Celular;Apellido Materno;Apellido Paterno;Teléfono fijo;Teléfono;Nombres;DNI;E-mail;Departamento\n"
    people = read(file, heading + ";Paz;Ñahui;x;084 221234;Ana;1234567;a@example.org;21\n").people
    assert [(one.person.family, one.person.phone) for one in people] == [("Ñahui Paz", "+5184221234")]


def test_every_column_that_is_lacking_is_named_at_once(file: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"a respuestas\.csv le faltan columnas: Apellidos, DNI, Región"):
        read(file, "Nombres;Correo;Edad\nAna;a@example.org;30\n")


@pytest.mark.parametrize("content", ["\ufeff", "hola", "1;2;3\n4;5;6\n"])
def test_what_is_no_table_of_people_is_refused(file: Path, content: str) -> None:
    with pytest.raises(UnreadableFile, match="le faltan columnas: Nombres, Apellidos, DNI, Correo electrónico, Región"):
        read(file, content)


def test_a_heading_with_nobody_under_it_is_refused(file: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"respuestas\.csv tiene encabezados pero ninguna inscripción"):
        read(file, FULL + "\n;;\n")


def test_numbers_and_dates_of_a_workbook_are_read_as_what_they_were(tmp_path: Path) -> None:
    file = tmp_path / "respuestas.xlsx"
    with xlsxwriter.Workbook(file, {"default_date_format": "dd/mm/yyyy"}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, FULL.strip().split(";"))
        for row, day in enumerate([datetime(1977, 4, 19), 28234, "19/04/1977"], start=1):  # noqa: DTZ001 — as in cells
            cells: list[Any] = [
                "Ana",
                "Paz",
                1234500 + row,
                f"a{row}@example.org",
                day,
                8,
                "Danza",
                "F",
                974009050 + row,
            ]
            for at, cell in enumerate(cells):
                (sheet.write_datetime if isinstance(cell, datetime) else sheet.write)(row, at, cell)
    people = [one.person for one in read_registrations(file, today=TODAY).people]
    assert [(one.document, one.birth, one.region, one.phone) for one in people] == [
        (Document(number=f"0123450{row}"), date(1977, 4, 19), "08", f"+5197400905{row}") for row in (1, 2, 3)
    ]


def test_the_report_of_rejected_rows_says_every_reason_and_holds_no_formula(file: Path, tmp_path: Path) -> None:
    refused = read(file, FULL + ROSA + ROSA.replace("Ica", "=1+1").replace("949859318", "12345"))
    refused.write_rejected(tmp_path / "rechazadas.csv")
    written = (tmp_path / "rechazadas.csv").read_text("utf-8-sig")
    reasons = "región: no es una región del Perú; teléfono: no es un número de teléfono"
    assert list(csv.reader(io.StringIO(written))) == [["Fila", "Motivos"], ["3", reasons]]


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cells=st.lists(st.text(st.characters(blacklist_characters='"\0', codec="utf-8"), max_size=30), max_size=11))
def test_no_cells_end_in_anything_but_a_person_or_reasons_in_words(file: Path, cells: list[str]) -> None:
    line = ";".join(f'"{cell}"' for cell in cells)
    one = read(file, FULL + ROSA + line + "\n")
    problems = [problem for row in one.rejected for problem in row.problems]
    assert len(one.people) + len(one.repeated) + len(one.rejected) == one.rows
    assert [problem.code for problem in problems if problem.code in text(problem)] == []
