"""What a web form exported, as people to register: headings in any order, messy cells, every reason of every row.

First row of a document wins; a row that breaks a rule is rejected with all its reasons, by stable codes.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from clients.cli import cells, headings
from clients.cli.spreadsheet import HEAD, UNDECODABLE, Cell, Row, UnreadableFile, rows
from shared.contracts.people import DocumentType, PersonDetails
from shared.contracts.problems import text
from shared.contracts.wire import Problem, problems_of

_ORDER = ("given", "family", "document.type", "document", "email", "birth", "region", "sector", "gender", "phone")


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

    @property
    def reasons(self) -> str:
        """All of them, in words."""
        return "; ".join(text(problem) for problem in self.problems)


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

    def write_rejected(self, path: Path, *, refused: Sequence[RejectedRow] = ()) -> None:
        """The rejected rows, and those that a service refused, with all their reasons, as CSV.

        No spreadsheet takes any cell of it for a formula.
        """
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["Fila", "Motivos"])
            for one in sorted([*self.rejected, *refused], key=lambda one: one.row):
                writer.writerow([one.row, inert(one.reasons)])


def inert(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def read_registrations(path: Path, *, today: date | None = None) -> RegistrationsFile:
    """Read a file; raises UnreadableFile when it is not a table of people, naming every column that it lacks.

    `today` is the last day on which anybody in it can have been born; by default today in Lima.
    """
    table = rows(path, likeness=lambda row: len(headings.columns(row)))
    start = max(range(min(HEAD, len(table))), key=lambda n: len(headings.columns(table[n])), default=0)
    heading = table[start] if table else []
    columns = headings.columns(heading)
    if lacking := headings.missing(columns):
        raise UnreadableFile(f"a {path.name} le faltan columnas: {', '.join(lacking)}")
    filled = list(_filled(table[start + 1 :], columns, first=start + 2))
    if not filled:
        raise UnreadableFile(f"{path.name} tiene encabezados pero ninguna inscripción")
    return _read(filled, today=today or _today(), ignored=headings.unknown(heading))


def _today() -> date:
    return (datetime.now(UTC) - timedelta(hours=5)).date()


def _filled(
    table: Sequence[Row], columns: dict[str, tuple[int, ...]], *, first: int
) -> Iterator[tuple[int, dict[str, Cell]]]:
    """The rows with anything in them that do not repeat the heading, by number: of two columns the first answer."""
    for number, row in enumerate(table, start=first):
        if any(cells.text(cell) for cell in row) and headings.columns(row) != columns:
            yield number, {key: _first_answer(row, places) for key, places in columns.items()}


def _first_answer(row: Row, places: tuple[int, ...]) -> Cell:
    return next((row[at] for at in places if at < len(row) and cells.text(row[at])), None)


def _read(filled: list[tuple[int, dict[str, Cell]]], *, today: date, ignored: list[str]) -> RegistrationsFile:
    m_is_woman = cells.hombre_and_mujer(row.get("gender") for _, row in filled)
    read = RegistrationsFile(rows=len(filled), ignored=ignored)
    first_rows: dict[object, int] = {}
    for number, row in filled:
        found = _person(row, today=today, m_is_woman=m_is_woman)
        if isinstance(found, tuple):
            read.rejected.append(RejectedRow(number, found))
        elif found.document in first_rows:
            read.repeated.append(RepeatedRow(number, first_rows[found.document]))
        else:
            first_rows[found.document] = number
            read.people.append(ImportedPerson(number, found))
    read.flags = list(_flags(read.people))
    return read


def _flags(people: list[ImportedPerson]) -> Iterator[Flag]:
    for what in ("email", "phone"):
        by_value: dict[object, list[int]] = defaultdict(list)
        for one in people:
            if value := getattr(one.person, what):
                by_value[value].append(one.row)
        yield from (Flag(what, tuple(numbers)) for numbers in by_value.values() if len(numbers) > 1)


class _Answers:
    """The answers of one row that could be read, and what is wrong with the others."""

    def __init__(self, row: Mapping[str, Cell]) -> None:
        self.row = row
        self.values: dict[str, Any] = {}
        self.problems: list[Problem] = []

    def take(self, key: str, read: Callable[[Cell], Any], code: str = "", *, required: bool = False) -> None:
        """Read one cell; `code` is the problem if it says nothing of the kind."""
        cell = self.row.get(key)
        if not (cells.text(cell) if required else cells.answered(cell)):
            self.problems += [Problem(code="required", field=key)] * required
        elif UNDECODABLE in cells.text(cell):
            self.problems.append(Problem(code="damaged-text", field=key))
        else:
            self._read(key, read, cell, code)

    def _read(self, key: str, read: Callable[[Cell], Any], cell: Cell, code: str) -> None:
        try:
            self.values[key] = read(cell)
        except ValueError:
            self.problems.append(Problem(code=code, field=key))


def _person(row: dict[str, Cell], *, today: date, m_is_woman: bool) -> PersonDetails | tuple[Problem, ...]:
    """A person, or every reason why the row is none."""
    answers = _Answers({**row, "family": row.get("family") or _family_names(row)})
    answers.take("given", cells.one_line, required=True)
    answers.take("family", cells.one_line, required=True)
    answers.take("email", cells.email, required=True)
    answers.take("birth", partial(cells.birth, today=today), "invalid-birth-date")
    answers.take("region", cells.region, "unknown-region", required=True)
    answers.take("sector", cells.sector, "unknown-sector")
    answers.take("gender", partial(cells.gender, m_is_woman=m_is_woman), "unknown-gender")
    answers.take("phone", cells.phone, "invalid-phone")
    _take_document(answers)
    return _checked(answers)


def _family_names(row: Mapping[str, Cell]) -> str:
    return " ".join(name for name in (cells.one_line(row.get("paternal")), cells.one_line(row.get("maternal"))) if name)


def _take_document(answers: _Answers) -> None:
    answers.take("document.type", cells.document_type, "unknown-document-type")
    kind = answers.values.pop("document.type", None)
    code = "invalid-dni" if kind in (None, DocumentType.DNI) else "invalid-document"
    answers.take("document", cells.document_number, code, required=True)
    number = answers.values.pop("document", None)
    if number and (kind or not cells.answered(answers.row.get("document.type"))):
        answers.values["document"] = {"number": number, **({"type": kind} if kind else {})}


def _checked(answers: _Answers) -> PersonDetails | tuple[Problem, ...]:
    problems = answers.problems
    try:
        person = PersonDetails.model_validate(answers.values)
    except ValidationError as error:
        named = {(problem.field or "").partition(".")[0] for problem in problems}
        problems += [one for one in problems_of(error) if one.field not in named]
        return _in_order(problems)
    return _in_order(problems) or person


def _in_order(problems: list[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(problems, key=lambda one: _ORDER.index(one.field) if one.field in _ORDER else len(_ORDER)))


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
