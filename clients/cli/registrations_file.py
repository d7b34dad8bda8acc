"""What a web form exported, as people to register: headings in any order, messy cells, every reason of every row.

First row of a document wins; a row that breaks a rule is rejected with all its reasons, by stable codes.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from clients.cli.spreadsheet import Cell, Row, UnreadableFile, rows
from shared.contracts.people import DocumentType, Gender, PersonDetails, Sector
from shared.contracts.peru import REGIONS, folded, region_named
from shared.contracts.problems import text
from shared.contracts.wire import Problem, problems_of

_HEADINGS = {
    "given": "nombres|nombre|nombres completos|primer nombre",
    "family": "apellidos|apellido|apellidos completos",
    "number": "dni|documento|documento de identidad|n de documento|no de documento|nro de documento|num de documento"
    "|numero de documento|numero de documento de identidad|n de dni|no de dni|nro de dni|numero de dni|n documento"
    "|nro documento|numero documento|nro dni|numero dni|doc|doc de identidad|dni ce|dni o ce",
    "type": "tipo de documento|tipo documento|tipo de documento de identidad|tipo doc",
    "email": "correo|correo electronico|e mail|email|mail|direccion de correo|direccion de correo electronico",
    "birth": "fecha de nacimiento|nacimiento|f nacimiento|fecha nacimiento|fec nacimiento|f de nacimiento",
    "region": "region|departamento|region de residencia|region de procedencia|region departamento|procedencia"
    "|departamento de residencia|lugar de residencia",
    "sector": "sector|sector cultural|area|rubro|sector artistico",
    "gender": "genero|sexo|identidad de genero",
    "phone": "telefono|celular|movil|telefono celular|numero de telefono|numero de celular|whatsapp|telefono movil"
    "|nro de celular|n de celular|telefono de contacto|nro celular",
}
_COLUMN = {name: key for key, names in _HEADINGS.items() for name in names.split("|")}
_REQUIRED = {
    "given": "Nombres",
    "family": "Apellidos",
    "number": "DNI",
    "email": "Correo electrónico",
    "region": "Región",
}
_SECTORS = {
    Sector.AUDIOVISUAL: "audiovisual|cine|cine y audiovisual|audiovisuales",
    Sector.BOOKS: "libro y edicion|libro|libros|libro y lectura|edicion|editorial",
    Sector.DESIGN: "diseno",
    Sector.MEDIA_ARTS: "artes mediales|medios|artes digitales",
    Sector.MUSIC: "musica",
    Sector.PERFORMING_ARTS: "artes escenicas|teatro|danza|circo",
    Sector.TRANSVERSAL: "transversal|varios|gestion cultural",
    Sector.VISUAL_ARTS: "artes visuales|artes plasticas",
}
_GENDERS = {
    Gender.WOMAN: "mujer|femenino|f|m mujer",
    Gender.MAN: "hombre|masculino|m|varon",
    Gender.OTHER: "otro|otra|otre|no binario|no binaria",
    Gender.UNDISCLOSED: "prefiere no decir|prefiero no decir|no indica|no precisa|prefiero no decirlo",
}
_DOCUMENTS = {
    DocumentType.DNI: "dni|documento nacional de identidad",
    DocumentType.FOREIGNER_CARD: "ce|carne de extranjeria|carnet de extranjeria|c e",
    DocumentType.PASSPORT: "pasaporte|passport",
}
_EXCEL_EPOCH = date(1899, 12, 30)


@dataclass(frozen=True, slots=True)
class ImportedPerson:
    """A person to register, from the row that a spreadsheet shows under this number."""

    row: int
    person: PersonDetails


@dataclass(frozen=True, slots=True)
class RepeatedRow:
    """A row about somebody who stands in an earlier one."""

    row: int
    of_row: int


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that cannot be registered, with every reason."""

    row: int
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Flag:
    """The same e-mail or telephone under two documents: for the team to look at, never merged."""

    what: str
    rows: tuple[int, ...]


@dataclass(slots=True)
class RegistrationsFile:
    """What a file holds. `rows` counts those with anything in them; `ignored` names columns not understood."""

    rows: int = 0
    people: list[ImportedPerson] = field(default_factory=list)
    repeated: list[RepeatedRow] = field(default_factory=list)
    rejected: list[RejectedRow] = field(default_factory=list)
    flags: list[Flag] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    @property
    def regions(self) -> int:
        """How many regions the people come from."""
        return len({one.person.region for one in self.people})

    def write_rejected(self, path: Path) -> None:
        """The rejected rows with all their reasons, as CSV that no spreadsheet takes for a formula."""
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["Fila", "Motivos"])
            for one in self.rejected:
                writer.writerow([one.row, inert("; ".join(text(problem) for problem in one.problems))])


def inert(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def read_registrations(path: Path, *, today: date | None = None) -> RegistrationsFile:
    """Read a file; raises UnreadableFile when it is not a table of people, naming every column that it lacks."""
    today = today or (datetime.now(UTC) - timedelta(hours=5)).date()
    table = rows(path, likeness=lambda row: len(_columns(row)))
    start = max(range(min(10, len(table))), key=lambda n: len(_columns(table[n])))
    columns = _columns(table[start])
    if missing := [name for key, name in _REQUIRED.items() if key not in columns]:
        raise UnreadableFile(f"a {path.name} le faltan columnas: {', '.join(missing)}")
    read = RegistrationsFile(ignored=[str(cell).strip() for cell in table[start] if _unknown(cell)])
    first_rows: dict[object, int] = {}
    for number, row in enumerate(table[start + 1 :], start=start + 2):
        if not any(_text(cell) for cell in row) or _columns(row) == columns:
            continue
        read.rows += 1
        _enter(read, number, _person({key: row[at] for key, at in columns.items() if at < len(row)}, today), first_rows)
    read.flags = list(_flags(read.people))
    return read


def _enter(
    read: RegistrationsFile, number: int, found: PersonDetails | tuple[Problem, ...], first_rows: dict[object, int]
) -> None:
    if isinstance(found, tuple):
        read.rejected.append(RejectedRow(number, found))
    elif found.document in first_rows:
        read.repeated.append(RepeatedRow(number, first_rows[found.document]))
    else:
        first_rows[found.document] = number
        read.people.append(ImportedPerson(number, found))


def _flags(people: list[ImportedPerson]) -> Iterator[Flag]:
    for what in ("email", "phone"):
        by_value: dict[object, list[int]] = defaultdict(list)
        for one in people:
            if value := getattr(one.person, what):
                by_value[value].append(one.row)
        yield from (Flag(what, tuple(numbers)) for numbers in by_value.values() if len(numbers) > 1)


def _columns(row: Row) -> dict[str, int]:
    found: dict[str, int] = {}
    for at, cell in enumerate(row):
        key = _COLUMN.get(_words(cell))
        if key is not None:
            found.setdefault(key, at)
    return found


def _unknown(cell: Cell) -> bool:
    return bool(_text(cell)) and _words(cell) not in _COLUMN


def _words(cell: Cell) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", folded(_text(cell))))


def _text(cell: Cell) -> str:
    """A cell as a person typed it: a number without the decimals that a spreadsheet gave it."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return "" if cell is None else str(cell).strip()


def _person(cells: dict[str, Cell], today: date) -> PersonDetails | tuple[Problem, ...]:
    """A person, or every reason why the row is none."""
    values: dict[str, Any] = {"given": _name(cells.get("given")), "family": _name(cells.get("family"))}
    values["email"] = _text(cells.get("email"))
    problems = [Problem(code="required", field=key) for key, value in values.items() if not value]

    def take(key: str, read: Callable[[str, Cell], Any], code: str, *, required: bool = False) -> None:
        cell = cells.get(key)
        if not _text(cell):
            if required:
                problems.append(Problem(code="required", field=key))
            return
        try:
            values[key] = read(_text(cell), cell)
        except (KeyError, ValueError):
            problems.append(Problem(code=code, field=key))

    take("region", _region, "unknown-region", required=True)
    take("sector", lambda words, _: _one_of(_SECTORS, words), "unknown-sector")
    take("gender", lambda words, _: _one_of(_GENDERS, words), "unknown-gender")
    take("birth", lambda words, cell: _birth(words, cell, today), "invalid-birth-date")
    take("type", lambda words, _: _one_of(_DOCUMENTS, words), "unknown-document-type")
    take("phone", lambda words, _: words, "invalid-phone")
    number = _text(cells.get("number"))
    if number:
        values["document"] = {"type": values.pop("type", DocumentType.DNI), "number": number}
    else:
        problems.append(Problem(code="required", field="document"))
    return _checked(values, problems)


def _checked(values: dict[str, Any], problems: list[Problem]) -> PersonDetails | tuple[Problem, ...]:
    try:
        person = PersonDetails.model_validate({key: value for key, value in values.items() if value})
    except ValidationError as error:
        named = {problem.field for problem in problems}
        problems += [one for one in problems_of(error) if one.field not in named]
        return tuple(problems)
    return tuple(problems) or person


def _name(cell: Cell) -> str:
    return " ".join(_text(cell).split())


def _region(words: str, _cell: Cell) -> str:
    code = words.zfill(2) if words.isdigit() else region_named(words)
    if code is None:
        code = region_named(re.sub(r"(?i)^\s*(regi[oó]n|departamento|dpto\.?)( de)?\s+", "", words))
    return REGIONS[code or ""].ubigeo


def _one_of(names: dict[Any, str], words: str) -> Any:
    wanted = _words(words)
    for value, spellings in names.items():
        if wanted in spellings.split("|") or wanted == _words(str(value)):
            return value
    raise KeyError


def _birth(words: str, cell: Cell, today: date) -> date:
    day = _day(words, cell, today)
    if not date(1900, 1, 1) <= day <= today:
        raise ValueError
    return day


def _day(words: str, cell: Cell, today: date) -> date:
    """Day first, as people write it here; real dates and serial numbers of spreadsheets; ISO."""
    if isinstance(cell, datetime):
        return cell.date()
    if isinstance(cell, date):
        return cell
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return _EXCEL_EPOCH + timedelta(days=int(cell))
    numbers = re.match(r"(\d{1,4})\s*[-/. ]\s*(\d{1,2})\s*[-/. ]\s*(\d{1,4})(?:[ T,].*)?$", words)
    if numbers is None:
        raise ValueError
    first, month, last = (int(part) for part in numbers.groups())
    if len(numbers[1]) == 4:
        return date(first, month, last)
    if len(numbers[3]) == 4:
        return date(last, month, first)
    century = today.year // 100 * 100
    year = century + last if century + last <= today.year else century - 100 + last
    return date(year, month, first)


__all__ = [
    "Flag",
    "ImportedPerson",
    "RegistrationsFile",
    "RejectedRow",
    "RepeatedRow",
    "UnreadableFile",
    "inert",
    "read_registrations",
]
