from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.cli import cells
from shared.contracts.people import DocumentType, Gender, Sector
from shared.contracts.peru import REGIONS

TODAY = date(2026, 11, 24)
ANY_CELL = st.one_of(
    st.none(), st.booleans(), st.floats(), st.text(), st.text("0123456789./-: e+deabrilT", max_size=20), st.dates()
)


def said(read: Callable[..., Any], cell: object, **more: Any) -> Any:
    """What a cell says, None if nothing."""
    try:
        return read(cell, **more)
    except ValueError:
        return None


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (None, ""),
        ("  Juan ", "Juan"),
        ("\u00a0Juan\u200b\ufeff", "Juan"),
        ("Nin\u0303a", "Niña"),
        (949859318.0, "949859318"),
        (1.5, "1.5"),
        ("-", ""),
        (" ... ", ""),
        (float("nan"), "nan"),
    ],
)
def test_a_cell_is_what_was_typed(cell: object, text: str) -> None:
    assert cells.text(cell) == text


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("07676661", "07676661"),
        (7676661.0, "7676661"),
        ("7676661.0", "7676661"),
        ("'07676661", "07676661"),
        ("45.678.912", "45678912"),
        ("45,678,912", "45678912"),
        ("45678912-3", "45678912"),  # with the check digit that is printed on the card
        ("DNI: 45678912", "45678912"),
        ("4567 8912", "4567 8912"),  # the contract takes blanks away
        (7676661.5, None),
        ("7676661.5", None),
        ("7.6E+07", None),
        ("4567891-2", None),  # seven digits and a check digit, or eight?
        ("00000000", None),
        (0.0, None),
        ("4567-X", None),
    ],
)
def test_a_document_number_is_mended_only_without_doubt(cell: object, number: str | None) -> None:
    assert said(cells.document_number, cell) == number


@pytest.mark.parametrize(
    ("cell", "phone"),
    [
        ("974009052", "+51974009052"),
        ("974-009-052", "+51974009052"),
        ("+51 974009052", "+51974009052"),
        ("0051974009052", "+51974009052"),
        (974009052.0, "+51974009052"),
        ("974009052.0", "+51974009052"),
        ("(084) 221234", "+5184221234"),
        ("cel. 974 009 052 (WhatsApp)", "+51974009052"),
        ("974009052 / 084-221234", "+51974009052"),
        ("12345 / 974009052", "+51974009052"),
        ("+56 9 6123 4567", "+56961234567"),
        ("12345", None),
        ("9.74E+08", None),
        ("no tiene", None),
    ],
)
def test_a_phone_is_read_in_any_habit(cell: object, phone: str | None) -> None:
    assert said(cells.phone, cell) == phone


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("Áncash", "02"),
        (" ancash. ", "02"),
        ("A\u0301ncash", "02"),
        ("MADRE  DE DIOS", "17"),
        ("Región Cusco", "08"),
        ("Departamento de Huánuco", "10"),
        ("Cuzco", "08"),
        ("Prov. Const. del Callao", "07"),
        ("Lima Metropolitana", "15"),
        ("Cusco, Perú", "08"),
        ("08", "08"),
        ("8", "08"),
        (8.0, "08"),
        ("08 - Cusco", "08"),
        ("Región 8", "08"),
        ("08 - Lima", None),
        ("15/08", None),
        ("08 08", None),
        ("Atlántida", None),
        ("26", None),
        ("0", None),
        ("Perú", None),
        ("Región", None),
    ],
)
def test_a_region_is_told_by_name_or_code(cell: object, code: str | None) -> None:
    assert said(cells.region, cell) == code


@given(region=st.sampled_from(list(REGIONS.values())), change=st.sampled_from([str.upper, str.lower, str.title]))
def test_every_region_is_known_by_name_and_code(region: Any, change: Callable[[str], str]) -> None:
    typed = [change(region.name), region.ubigeo, f"{region.ubigeo} {region.name}", float(region.ubigeo)]
    assert [cells.region(cell) for cell in typed] == [region.ubigeo] * 4


@pytest.mark.parametrize(
    ("cell", "day"),
    [
        ("19/04/1977", "1977-04-19"),
        ("9/4/77", "1977-04-09"),
        ("9/4/26", "2026-04-09"),
        ("9/4/27", "1927-04-09"),
        ("1/1/00", "2000-01-01"),
        ("19-04-1977", "1977-04-19"),
        ("19.04.1977", "1977-04-19"),
        ("19 04 1977", "1977-04-19"),
        ("1977-04-19", "1977-04-19"),
        ("1977/4/19", "1977-04-19"),
        ("1977-04-19T00:00:00", "1977-04-19"),
        ("19/04/1977 0:00:00", "1977-04-19"),
        ("19 de abril de 1977", "1977-04-19"),
        ("19 de Setiembre del 1977", "1977-09-19"),
        ("19-sep-77", "1977-09-19"),
        ("19-ENE-1977", "1977-01-19"),
        (date(1977, 4, 19), "1977-04-19"),
        (datetime(1977, 4, 19, 5), "1977-04-19"),  # noqa: DTZ001 — so a spreadsheet has it
        (28234.0, "1977-04-19"),
        ("28234", "1977-04-19"),
        ("29/02/2000", "2000-02-29"),
        (TODAY, "2026-11-24"),
        ("25/11/2026", None),
        ("04/19/1977", None),
        ("31/02/1980", None),
        ("29/02/1900", None),
        ("31/12/1899", None),
        ("19/4/7", None),
        ("19/abc/1977", None),
        ("19/04/1977 x", None),
        (1977.0, None),  # a year, not the 1977th day of a spreadsheet
        (19041977.0, None),
        (1e300, None),
        (True, None),
        ("lunes", None),
    ],
)
def test_a_date_of_birth_is_day_first(cell: object, day: str | None) -> None:
    told = said(cells.birth, cell, today=TODAY)
    assert (str(told) if told else None) == day


@given(day=st.dates(date(1930, 1, 1), TODAY))
def test_a_day_is_the_same_in_every_habit(day: date) -> None:
    serial = (day - date(1899, 12, 30)).days
    typed = [day, float(serial), f"{day:%d/%m/%Y}", f"{day.day}-{day.month}-{day.year}", day.isoformat()]
    assert [cells.birth(cell, today=TODAY) for cell in typed] == [day] * 5


@pytest.mark.parametrize(
    ("cell", "sector"),
    [
        ("Música", Sector.MUSIC),
        ("LIBRO Y EDICION", Sector.BOOKS),
        ("Artes escénicas (teatro)", Sector.PERFORMING_ARTS),
        ("performing-arts", Sector.PERFORMING_ARTS),
        ("Agricultura", None),
        ("Música, Danza", None),
    ],
)
def test_a_sector_is_told_by_its_name(cell: str, sector: Sector | None) -> None:
    assert said(cells.sector, cell) == sector


@pytest.mark.parametrize(
    ("column", "genders"),
    [
        (["M", "F", "m"], [Gender.MAN, Gender.WOMAN, Gender.MAN]),
        (["M", "H", "m"], [Gender.WOMAN, Gender.MAN, Gender.WOMAN]),
        (["Mujer", "VARÓN", "No binario"], [Gender.WOMAN, Gender.MAN, Gender.OTHER]),
        (["prefiere no decir", "sí"], [Gender.UNDISCLOSED, None]),
    ],
)
def test_a_letter_for_a_gender_means_what_its_column_means(column: list[str], genders: list[Gender | None]) -> None:
    m_is_woman = cells.hombre_and_mujer(column)
    assert [said(cells.gender, cell, m_is_woman=m_is_woman) for cell in column] == genders


def test_a_type_of_document_is_told_by_its_name() -> None:
    told = [said(cells.document_type, cell) for cell in ("DNI", "D.N.I.", "Carné de extranjería", "Pasaporte", "RUC")]
    assert told == [DocumentType.DNI, DocumentType.DNI, DocumentType.FOREIGNER_CARD, DocumentType.PASSPORT, None]


@pytest.mark.parametrize(("cell", "answered"), [("no tengo", False), ("N/A", False), ("-", False), ("x", True)])
def test_a_question_may_be_left_out_in_words(cell: str, *, answered: bool) -> None:
    assert cells.answered(cell) == answered


@given(cell=ANY_CELL)
def test_no_cell_ends_in_anything_but_an_answer_or_none(cell: object) -> None:
    for read in (cells.document_number, cells.phone, cells.region, cells.sector, cells.document_type, cells.email):
        said(read, cell)
    said(cells.gender, cell, m_is_woman=False)
    born = said(cells.birth, cell, today=TODAY)
    assert born is None or date(1900, 1, 1) <= born <= TODAY
