"""What one cell of a person's row says, as people here write it; ValueError when it says nothing of the kind.

A doubtful cell is refused rather than guessed: a wrong document or date of birth would be believed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from pydantic import TypeAdapter

from clients.cli.spreadsheet import Cell
from shared.contracts.people import DocumentType, Gender, Phone, Sector
from shared.contracts.peru import REGIONS, folded, region_named

T = TypeVar("T", bound=StrEnum)

_SECTORS = {
    Sector.AUDIOVISUAL: "audiovisual|audiovisuales|cine|cine y audiovisual|audiovisual y cine|cine y video",
    Sector.BOOKS: "libro y edicion|libro|libros|libro y lectura|edicion|editorial|libros y edicion|literatura"
    "|libro y la edicion|libros y publicaciones",
    Sector.DESIGN: "diseno",
    Sector.MEDIA_ARTS: "artes mediales|medios|artes digitales|nuevos medios",
    Sector.MUSIC: "musica",
    Sector.PERFORMING_ARTS: "artes escenicas|escenicas|teatro|danza|circo",
    Sector.TRANSVERSAL: "transversal|varios|gestion cultural|transversales",
    Sector.VISUAL_ARTS: "artes visuales|artes plasticas|visuales|artes plasticas y visuales",
}
_GENDERS = {
    Gender.WOMAN: "mujer|femenino|femenina|f|fem",
    Gender.MAN: "hombre|masculino|varon|m|h|masc",
    Gender.OTHER: "otro|otra|otre|otros|no binario|no binaria|no binarie",
    Gender.UNDISCLOSED: "prefiere no decir|prefiero no decir|no indica|no precisa|prefiero no decirlo"
    "|prefiere no decirlo|prefiero no responder|prefiero no indicar",
}
_DOCUMENTS = {
    DocumentType.DNI: "dni|d n i|documento nacional de identidad|documento nacional identidad",
    DocumentType.FOREIGNER_CARD: "ce|c e|carne de extranjeria|carnet de extranjeria|carne extranjeria"
    "|carnet extranjeria",
    DocumentType.PASSPORT: "pasaporte|passport",
}
_REGIONS = {
    "cuzco": "08",
    "lima metropolitana": "15",
    "lima provincias": "15",
    "provincia constitucional callao": "07",
    "provincia constitucional del callao": "07",
    "prov const callao": "07",
    "prov const del callao": "07",
    "el callao": "07",
}
_AROUND_A_REGION = re.compile(r"^(?:gobierno regional|region|departamento|dpto|depto|dep)\b\s*(?:del?\s+)?|\s+peru$")

_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad"))
_MONTHS = ["ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "set", "oct", "nov", "dic"]
_OTHER_MONTHS = {"sep": 9, "jan": 1, "apr": 4, "aug": 8, "dec": 12}
_TIME = r"(?:[T\s,]+\d{1,2}:\d{2}.*)?"
_ISO = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})" + _TIME)
_DAY_FIRST = re.compile(r"(\d{1,2})\s*[-/. ]\s*(\d{1,2})\s*[-/. ]\s*(\d{4}|\d{2})" + _TIME)
_IN_WORDS = re.compile(r"(\d{1,2})[-/. ]*(?:de )?[-/. ]*([a-z]{3,10})[-/. ]*(?:del? )?[-/. ]*(\d{4}|\d{2})" + _TIME)
# The serial number of a day in a spreadsheet; a smaller one is rather a year or an age.
_EPOCH, _SERIAL = date(1899, 12, 30), re.compile(r"[1-9]\d{4}(?:\.\d+)?")

_PHONE: TypeAdapter[str] = TypeAdapter(Phone)
_ABOUT_PHONES = re.compile(
    r"(?i)\(?\b(?:whatsapp|wsp|wasap|cel|celular|casa|m[oó]vil|fijo|claro|movistar|entel|bitel)\b[):]?"
)
_NO_ANSWERS = frozenset({"n a", "no tengo", "ninguno", "ninguna", "no aplica", "no tiene"})


def text(cell: Cell) -> str:
    """A cell as it was typed: no decimals that a spreadsheet gave a number; nothing where only signs stand."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    typed = unicodedata.normalize("NFC", "" if cell is None else str(cell)).translate(_INVISIBLE).strip()
    return typed if any(map(str.isalnum, typed)) else ""


def answered(cell: Cell) -> bool:
    """Whether a cell that may be left out holds an answer."""
    return bool(text(cell)) and words(cell) not in _NO_ANSWERS


def words(cell: Cell) -> str:
    """The words of a cell, for matching: no accents, case, signs or brackets."""
    return " ".join(re.findall(r"[a-z0-9]+", folded(re.sub(r"\([^)]*\)", " ", text(cell)))))


def one_line(cell: Cell) -> str:
    """A name as it was typed, on one line."""
    return " ".join(text(cell).split())


def document_number(cell: Cell) -> str:
    """The number of a document without what spreadsheets and people add; zeros that got lost are not added yet."""
    typed = re.sub(r"(?i)^(?:dni|d\.n\.i\.)[\s:.\-]*", "", text(cell).lstrip("'"))
    if found := re.fullmatch(r"(\d{1,9})\.0{1,2}|(\d{8})\s*-\s*\w", typed):  # became a number; with its check digit
        typed = found[1] or found[2]
    elif re.fullmatch(r"\d{1,3}(?:([.,])\d{3})(?:\1\d{3})*", typed):  # thousands
        typed = re.sub("[.,]", "", typed)
    if not re.fullmatch(r"[^\W_]+(?:[ -][^\W_]{2,})*", typed) or not typed.strip("0 -"):
        raise ValueError("no number of a document")
    return typed


def email(cell: Cell) -> str:
    """An e-mail address as typed."""
    return text(cell).removeprefix("mailto:")


def phone(cell: Cell) -> str:
    """The first telephone number in a cell, as E.164."""
    typed = _ABOUT_PHONES.sub(" ", re.sub(r"\.0$", "", text(cell).lstrip("'")))
    numbers = [typed, *re.split(r"[/;|,]|\s[oy]\s", typed)]
    for number in numbers[:-1]:
        try:
            return _PHONE.validate_python(number)
        except ValueError:
            continue
    return _PHONE.validate_python(numbers[-1])


def region(cell: Cell) -> str:
    """The INEI code of a region given by its name or by that code, or by both where they agree."""
    typed = words(re.sub(r"\.0$", "", text(cell)))
    numbers, names = re.findall(r"\d+", typed), re.findall(r"[a-z]+", typed)
    named = _AROUND_A_REGION.sub("", " ".join(names))
    found = [REGIONS[code.zfill(2)].ubigeo if code.zfill(2) in REGIONS else None for code in numbers]
    if named or not numbers:
        found.append(_REGIONS.get(named) or region_named(named))
    match found:
        case [str(code)]:
            return code
        case [str(code), str(same)] if named and code == same:
            return code
    raise ValueError("no region, or two")


def sector(cell: Cell) -> Sector:
    """A cultural sector by its name or its code."""
    return _one_of(_SECTORS, words(cell))


def document_type(cell: Cell) -> DocumentType:
    """A type of document by its name or its code."""
    return _one_of(_DOCUMENTS, words(cell))


def gender(cell: Cell, *, m_is_woman: bool) -> Gender:
    """A gender as people state it; `m_is_woman` where the column is in the habit of H and M, not of M and F."""
    typed = words(cell)
    return Gender.WOMAN if typed == "m" and m_is_woman else _one_of(_GENDERS, typed)


def hombre_and_mujer(column: Iterable[Cell]) -> bool:
    """Whether a column states genders as H and M."""
    letters = {words(cell) for cell in column}
    return "h" in letters and "f" not in letters


def _one_of(names: dict[T, str], typed: str) -> T:
    for value, spellings in names.items():
        if typed in spellings.split("|") or typed == words(value.value):
            return value
    raise ValueError("not one of them")


def birth(cell: Cell, *, today: date) -> date:
    """A date of birth, day first, or ISO, or as spreadsheets have dates; neither in the future nor before 1900."""
    day = cell.date() if isinstance(cell, datetime) else cell
    if not isinstance(day, date):
        day = _day(text(cell), today)
    if not date(1900, 1, 1) <= day <= today:
        raise ValueError("nobody here was born then")
    return day


def _day(typed: str, today: date) -> date:
    if found := _ISO.fullmatch(typed):
        return date(int(found[1]), int(found[2]), int(found[3]))
    if found := _DAY_FIRST.fullmatch(typed):
        return date(_year(found[3], today), int(found[2]), int(found[1]))
    if found := _IN_WORDS.fullmatch(folded(typed)):
        return date(_year(found[3], today), _month(found[2]), int(found[1]))
    if _SERIAL.fullmatch(typed):
        return _EPOCH + timedelta(days=int(float(typed)))
    raise ValueError("no date")


def _month(name: str) -> int:
    short = name[:3]
    return _OTHER_MONTHS[short] if short in _OTHER_MONTHS else _MONTHS.index(short) + 1


def _year(digits: str, today: date) -> int:
    """A year; of two digits, the last one that is not to come."""
    if len(digits) == 4:
        return int(digits)
    century = today.year // 100 * 100
    year = century + int(digits)
    return year if year <= today.year else year - 100
