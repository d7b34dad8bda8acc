"""Registrations as web forms export them, made up from a seed, with the truth about every row.

Not the reader's idea of a mess: nothing of `clients` is used here.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

import xlsxwriter

REGIONS = dict(
    zip(
        (f"{number:02}" for number in range(1, 26)),
        "Amazonas Áncash Apurímac Arequipa Ayacucho Cajamarca Callao Cusco Huancavelica Huánuco Ica Junín La_Libertad "  # noqa: SIM905
        "Lambayeque Lima Loreto Madre_de_Dios Moquegua Pasco Piura Puno San_Martín Tacna Tumbes Ucayali".split(),
        strict=True,
    )
)
SECTORS = {
    "audiovisual": "Audiovisual",
    "books-and-publishing": "Libro y edición",
    "design": "Diseño",
    "media-arts": "Artes mediales",
    "music": "Música",
    "performing-arts": "Artes escénicas",
    "transversal": "Transversal",
    "visual-arts": "Artes visuales",
}
GENDERS = {"woman": ["mujer", "Femenino", "F"], "man": ["hombre", "MASCULINO", "m"], "other": ["otro", "No binario"]}
GIVEN = ["María José", "Íñigo", "Rosa", "Wáscar", "Noemí", "César", "Ñusta", "Ángel", "Luz", "Edwin"]
FAMILY = ["Huamán", "Quispe", "Ñahui", "Ybáñez", "Zegarra", "Mamani", "Güere", "Ccori", "D’Ángelo", "Choque"]
TABLE = {
    "given": [" NOMBRES", "Nombre(s) ", "nombres"],
    "family": ["Apellidos", "APELLIDOS  "],
    "document": ["N° de documento", "D.N.I.", "NUMERO DE DOCUMENTO DE IDENTIDAD", "DNI (8 dígitos)"],
    "email": ["E-mail", "CORREO ELECTRONICO", " Correo electrónico *"],
    "birth": ["Fecha de Nacimiento", "FECHA DE NACIMIENTO (dd/mm/aaaa)"],
    "region": ["Departamento", "REGION", "Región de residencia"],
    "sector": ["Sector cultural", "SECTOR"],
    "gender": ["Genero", "Sexo"],
    "phone": ["Celular", "N° de teléfono", "Teléfono / celular"],
    "": ["Marca temporal", "¿Qué espera del encuentro?", "Acepto las bases"],
}
Cell = str | int | float | date


@dataclass
class Truth:
    """What a reader has to find: counts, the people by row, the codes of every rejected row, whom a row repeats."""

    counts: dict[str, int]
    people: dict[int, dict[str, str]] = field(default_factory=dict)
    rejected: dict[int, set[str]] = field(default_factory=dict)
    repeated: dict[int, int] = field(default_factory=dict)


def people(random: Random, number: int) -> list[dict[str, str]]:
    """Made-up people of every region; one in six has a DNI that begins with 0."""
    documents = random.sample(range(1_000_000, 9_999_999), number // 6) + random.sample(
        range(10_000_000, 89_999_999), number - number // 6
    )
    random.shuffle(documents)
    phones = random.sample(range(900_000_000, 999_999_999), number)
    return [_person(random, n, documents[n], phones[n]) for n in range(number)]


def _person(random: Random, n: int, document: int, phone: int) -> dict[str, str]:
    return {
        "given": random.choice(GIVEN),
        "family": f"{random.choice(FAMILY)} {random.choice(FAMILY)}",
        "document": f"{document:08}",
        "email": f"persona.{n:03}@example.org",
        "birth": str(date(1948, 1, 1) + timedelta(days=random.randrange(20_000))),
        "region": list(REGIONS)[n % 25],
        "sector": random.choice(list(SECTORS)),
        "gender": random.choice(list(GENDERS)),
        "phone": f"+51{phone}",
    }


def write(people: Sequence[dict[str, str]], path: Path, random: Random) -> Truth:
    """Write everybody, in disorder, some twice, some rows spoilt, some blank, to a CSV or XLSX by the path's suffix."""
    in_cells = path.suffix == ".xlsx"
    columns = [*TABLE, "", ""]
    random.shuffle(columns)
    others = iter(TABLE[""])
    heading: list[Cell] = [random.choice(TABLE[column]) if column else next(others) for column in columns]
    rows, truth = _rows(people, random, heading, columns, in_cells=in_cells)
    (_write_xlsx if in_cells else _write_csv)(path, [heading, *rows])
    return truth


def _rows(
    people: Sequence[dict[str, str]], random: Random, heading: list[Cell], columns: list[str], *, in_cells: bool
) -> tuple[list[list[Cell]], Truth]:
    spoilt = [_spoil(dict(person), n) for n, person in enumerate(random.sample(people, 24))]
    again = random.sample(people, 30)
    entries: list[tuple[dict[str, str], set[str]]] = [(person, set()) for person in [*people, *again]] + spoilt
    random.shuffle(entries)
    rows: list[list[Cell]] = []
    first: dict[str, int] = {}
    truth = Truth(
        {"rows": len(entries), "people": len(people), "repeated_rows": 30, "rejected_rows": 24, "regions": 25}
    )
    for person, codes in entries:
        if random.random() < 0.04:
            rows.append(random.choice([[], [""] * len(columns), ["  "], heading]))
        number = len(rows) + 2
        rows.append([_cell(column, person, random, in_cells=in_cells) for column in columns])
        if codes:
            truth.rejected[number] = codes
        elif person["document"] in first:
            truth.repeated[number] = first[person["document"]]
        else:
            first[person["document"]] = number
            truth.people[number] = person
    return rows, truth


def _spoil(person: dict[str, str], n: int) -> tuple[dict[str, str], set[str]]:
    """The same person with something wrong, and what; every third row with two things."""
    wrong = [
        ("region", "Atlántida", "region unknown-region"),
        ("document", "4567-X", "document invalid-dni"),
        ("email", "sin arroba", "email invalid-email"),
        ("birth", "31/02/1980", "birth invalid-birth-date"),
        ("birth", "01/01/2199", "birth invalid-birth-date"),
        ("phone", "12345", "phone invalid-phone"),
        ("given", "   ", "given required"),
        ("sector", "Agricultura", "sector unknown-sector"),
    ]
    spoilt = {}
    for column, value, code in [wrong[n % 8], wrong[(n + 3) % 8]][: 1 + (n % 3 == 0)]:
        person[column] = f"!{value}"
        spoilt[column] = code
    return person, set(spoilt.values())


def _cell(column: str, person: dict[str, str], random: Random, *, in_cells: bool) -> Cell:
    value = person.get(column, "")
    if value.startswith("!"):
        return value[1:]
    if not column:
        return random.choice(["", "Sí", 'Dijo: "redes";\ny programar,\n\nen circuito', "=1+1"])
    if column == "document":
        return _number(value, random, in_cells=in_cells)
    if column == "birth":
        return _birth(date.fromisoformat(value), random, in_cells=in_cells)
    return random.choice(_spellings(column, value, in_cells=in_cells))


def _spellings(column: str, value: str, *, in_cells: bool) -> list[Cell]:
    match column:
        case "phone":
            bare = value.removeprefix("+51")
            spaced = f"{bare[:3]}-{bare[3:6]}-{bare[6:]}"
            return [value, bare, spaced, f"+51 {bare}", f"0051{bare}", int(bare) if in_cells else bare]
        case "region":
            name = REGIONS[value].replace("_", " ")
            return [name, f" {name.upper()} ", value, str(int(value)), f"Región {name}"]
        case "sector":
            return [SECTORS[value], SECTORS[value].upper(), f"{SECTORS[value]} "]
        case "gender":
            return [*GENDERS[value]]
        case "email":
            return [value, value.upper(), f" {value} "]
        case _:
            return [value, f" {value}", f"{value} ", value.replace(" ", "  ")]


def _number(value: str, random: Random, *, in_cells: bool) -> Cell:
    if in_cells and random.random() < 0.5:
        return float(value)
    dotted = f"{value[:2]}.{value[2:5]}.{value[5:]}"
    return random.choice([value, value.lstrip("0"), f"{int(value)}.0", dotted, f" {value} "])


def _birth(day: date, random: Random, *, in_cells: bool) -> Cell:
    if in_cells and random.random() < 0.6:
        return day if random.random() < 0.5 else (day - date(1899, 12, 30)).days
    habits = ["%d/%m/%Y", "%Y-%m-%d", "%d-%m-%Y", "%d.%m.%Y", "%d/%m/%Y 0:00:00"]
    return random.choice([day.strftime(random.choice(habits)), f"{day.day}/{day.month}/{day.year}"])


def _write_csv(path: Path, rows: Sequence[Sequence[Cell]]) -> None:
    with path.open("w", encoding="cp1252", newline="") as file:
        csv.writer(file, delimiter=";").writerows(rows)


def _write_xlsx(path: Path, rows: Sequence[Sequence[Cell]]) -> None:
    with xlsxwriter.Workbook(path, {"strings_to_formulas": False, "default_date_format": "dd/mm/yy"}) as book:
        book.set_properties({"created": datetime(2026, 11, 24, tzinfo=UTC)})
        sheet = book.add_worksheet("Respuestas de formulario 1")
        for number, row in enumerate(rows):
            for at, cell in enumerate(row):
                (sheet.write_datetime if isinstance(cell, date) else sheet.write)(number, at, cell)


def write_counts(truth: Truth, path: Path) -> None:
    """The counts, as a sample's expected file has them."""
    path.write_text(json.dumps(truth.counts, indent=1) + "\n", encoding="utf-8")
