from __future__ import annotations

import random
import zipfile
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clients.cli.spreadsheet import Row, UnreadableFile, rows

HEADING = ["Nombres", "Región", "Ñandú"]


def likeness(row: Row) -> int:
    """How many of the heading's words stand in a row."""
    return len({*HEADING} & {str(cell) for cell in row})


def read(path: Path) -> list[list[object]]:
    return [list(row) for row in rows(path, likeness=likeness)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "respuestas.csv"


@pytest.fixture
def workbook(tmp_path: Path) -> Path:
    return tmp_path / "respuestas.xlsx"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_a_table_is_the_same_however_it_was_exported(file: Path, separator: str, encoding: str, ending: str) -> None:
    table = [HEADING, ["José", "Áncash", "sí, a veces; no"], ["", "", ""], ["Íñigo", "Junín", 'dijo "sí"\n\ny vino']]
    quoted = [separator.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in table]
    file.write_bytes((ending.join(quoted) + ending).encode(encoding))
    assert read(file) == table


def test_rows_have_the_numbers_that_a_spreadsheet_shows(file: Path) -> None:
    file.write_text('sep=;\nNombres;Región\n\n"de\nvarias\nlíneas";b\n\n\nc;d\n', "utf-8")
    assert dict(enumerate(read(file), start=1)) == {
        1: ["Nombres", "Región"],
        2: [],
        3: ["de\nvarias\nlíneas", "b"],
        4: [],
        5: [],
        6: ["c", "d"],
    }


def test_separators_inside_cells_do_not_mislead(file: Path) -> None:
    file.write_text("Formulario de inscripción; año 2019; tema, lugar\nNombres,Región\nAna;María,Cusco\n", "utf-8")
    assert read(file)[1:] == [["Nombres", "Región"], ["Ana;María", "Cusco"]]


@pytest.mark.parametrize(
    "rest",
    [
        '"Ana,Cusco\nJosé,Ica\nLuz,Puno\n',  # never closed
        '"Ana,Cusco\nJosé,Ica\nLuz,"Puno"\n',  # closed by the next one's opening
    ],
)
def test_a_stray_quotation_mark_swallows_no_rows(file: Path, rest: str) -> None:
    file.write_text(f"Nombres,Región\nRosa,Lima\n{rest}", "utf-8")
    with pytest.raises(UnreadableFile, match=r"respuestas\.csv, fila 3: las comillas abren una celda"):
        read(file)


def test_a_cell_that_never_ends_is_a_quotation_mark_too_many(file: Path) -> None:
    file.write_text("Nombres,Región\n" + '"Ana\n' + "x" * 200_000, "utf-8")
    with pytest.raises(UnreadableFile, match="comillas"):
        read(file)


def test_a_quotation_mark_inside_a_cell_is_only_that(file: Path) -> None:
    file.write_text('Nombres,Región\nAna "la Negra" Paz,Cusco\nPantalla de 5",Ica\n', "utf-8")
    assert read(file)[1:] == [['Ana "la Negra" Paz', "Cusco"], ['Pantalla de 5"', "Ica"]]


def test_one_damaged_letter_does_not_change_the_others(file: Path) -> None:
    file.write_bytes("Nombres,Región\nJosé,Áncash\n".encode() + b"Mar\xeda,Jun\xc3\xadn\n")
    assert read(file) == [["Nombres", "Región"], ["José", "Áncash"], ["Mar\ufffda", "Junín"]]


def test_bytes_that_windows_does_not_know_are_marked(file: Path) -> None:
    file.write_bytes("Nombres,Región\nJosé\x81,Áncash\n".encode("latin-1"))
    assert read(file)[1] == ["José\ufffd", "Áncash"]


@pytest.mark.parametrize("content", [b"", b" \n\r\n ", b"\t"])
def test_an_empty_file_is_said_to_be_empty(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(UnreadableFile, match=r"respuestas\.csv está vacío"):
        read(file)


def test_a_byte_order_mark_alone_is_no_row(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf")
    assert read(file) == []


@pytest.mark.parametrize("content", [b"%PDF-1.7 ...", b"\x89PNG\r\n\x1a\n", b"<html><table>", b"ab\0\0\0\0cd"])
def test_what_is_no_table_is_said_to_be_none(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(UnreadableFile, match="no es un CSV ni una hoja de cálculo"):
        read(file)


def test_a_file_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"nada\.csv: no existe"):
        read(tmp_path / "nada.csv")
    with pytest.raises(UnreadableFile, match="es una carpeta"):
        read(tmp_path)


def test_a_workbook_keeps_its_kinds_of_cells_and_its_blank_rows(workbook: Path) -> None:
    with xlsxwriter.Workbook(workbook, {"default_date_format": "dd/mm/yyyy"}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(2, 1, HEADING)
        sheet.write(4, 1, 7676661.0)
        sheet.write_datetime(4, 2, date(1977, 4, 19))
        sheet.write(4, 3, "07676661")
    assert read(workbook) == [
        ["", "", "", ""],
        ["", "", "", ""],
        ["", *HEADING],
        ["", "", "", ""],
        ["", 7676661.0, date(1977, 4, 19), "07676661"],
    ]


def test_the_sheet_that_has_the_heading_is_read_wherever_it_is(workbook: Path) -> None:
    with xlsxwriter.Workbook(workbook) as book:
        book.add_worksheet("Instrucciones").write(0, 0, "Nombres: los del DNI")
        book.add_chartsheet("Gráfico")
        hidden = book.add_worksheet("Copia")
        hidden.write_row(0, 0, [*HEADING, "vieja"])
        hidden.hide()
        book.add_worksheet("Respuestas").write_row(0, 0, HEADING)
    assert read(workbook) == [HEADING]


def test_a_workbook_without_anything_in_it_has_no_rows(workbook: Path) -> None:
    with xlsxwriter.Workbook(workbook) as book:
        book.add_worksheet()
    assert read(workbook) == []


def test_a_locked_or_damaged_workbook_is_said_to_be_so(workbook: Path) -> None:
    with zipfile.ZipFile(workbook, "w") as archive:
        archive.writestr("word/document.xml", "<x/>")
    other_zip = workbook.read_bytes()
    locked = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1000)  # how a workbook with a password begins
    for content in (other_zip, other_zip[:40], locked):
        workbook.write_bytes(content)
        with pytest.raises(UnreadableFile, match=r"dañada o con contraseña"):
            read(workbook)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(chance=st.randoms(use_true_random=False))
def test_no_damage_to_a_workbook_ends_in_anything_but_rows_or_a_message(workbook: Path, chance: random.Random) -> None:
    with xlsxwriter.Workbook(workbook) as book:
        book.set_properties({"created": datetime(2026, 11, 24, tzinfo=UTC)})  # the same bytes each time
        book.add_worksheet().write_row(0, 0, [*HEADING, 1.5, True])
    content = bytearray(workbook.read_bytes())
    for _ in range(chance.randint(1, 30)):
        content[chance.randrange(4, len(content))] = chance.randrange(256)
    workbook.write_bytes(content)
    with suppress(UnreadableFile):
        read(workbook)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.one_of(st.binary(max_size=200), st.text('",;\n\r\tá=ab', max_size=60).map(str.encode)))
def test_no_bytes_end_in_anything_but_rows_or_a_message(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with suppress(UnreadableFile):
        read(file)
