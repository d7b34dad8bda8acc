"""Which column of a web form's table holds what, by its Spanish heading however typed. Not here: the cells."""

from __future__ import annotations

import re

from clients.cli.spreadsheet import Cell, Row
from shared.contracts.peru import folded

# Spellings as `_key` leaves them: no accents, case, articles, signs or brackets; every «número» is «n».
_HEADINGS = {
    "given": "nombres|nombre|nombres completos|primer nombre|nombre completo sin apellidos|nombres persona",
    "family": "apellidos|apellido|apellidos completos|apellido s|apellidos paterno y materno",
    "paternal": "apellido paterno|primer apellido|ap paterno|a paterno|paterno",
    "maternal": "apellido materno|segundo apellido|ap materno|a materno|materno",
    "document": "dni|d n i|documento|documento identidad|n documento|n documento identidad|n dni|dni n|doc|n doc"
    "|doc identidad|n doc identidad|dni ce|dni o ce|dni o carne extranjeria|documento identidad dni|identificacion"
    "|n identificacion|documento nacional identidad|n documento dni|n documento o dni|dni o pasaporte",
    "document.type": "tipo documento|tipo documento identidad|tipo doc|tipo doc identidad|tipo identificacion",
    "email": "correo|correo electronico|e mail|email|mail|direccion correo|direccion correo electronico|correo e"
    "|direccion e mail|direccion email|correo personal|correo contacto|correo electronico personal"
    "|correo electronico contacto|email address|correo electronico e mail|correo e mail",
    "birth": "fecha nacimiento|nacimiento|f nacimiento|fec nacimiento|f nac|fec nac|fecha nac|fecha nacim"
    "|dia nacimiento|cumpleanos",
    "region": "region|departamento|region residencia|departamento residencia|region procedencia|procedencia"
    "|departamento procedencia|lugar residencia|lugar procedencia|region departamento|departamento region"
    "|region o departamento|departamento o region|region origen|region donde vive|region donde reside"
    "|region en que reside|region en que vive|residencia",
    "sector": "sector|sector cultural|area|rubro|sector artistico|area cultural|disciplina|disciplina artistica"
    "|sector o disciplina|actividad cultural|sector al que pertenece|sector creativo",
    "gender": "genero|sexo|identidad genero|genero o sexo|sexo o genero",
    "phone": "telefono|celular|movil|telefono celular|n telefono|n celular|whatsapp|telefono movil|n telefonico"
    "|telefono contacto|celular contacto|n contacto|n whatsapp|n movil|telefono o celular|celular o telefono"
    "|celular whatsapp|n telefono celular|tel|cel|telf|fono|n telefono o celular|contacto telefonico",
}
_COLUMN = {spelling: column for column, spellings in _HEADINGS.items() for spelling in spellings.split("|")}

# What no table of people may lack, as its team would head it.
_REQUIRED = {
    "Nombres": {"given"},
    "Apellidos": {"family", "paternal"},
    "DNI": {"document"},
    "Correo electrónico": {"email"},
    "Región": {"region"},
}
_FILLERS = frozenset(
    {"de", "del", "la", "el", "los", "las", "lo", "su", "sus", "tu", "tus"}
    | {"ingrese", "ingresa", "indique", "indica", "escriba", "escribe"}
)
_NUMBERS = frozenset({"numero", "nro", "num", "no", "nros"})


def columns(row: Row) -> dict[str, tuple[int, ...]]:
    """Where a heading row has what; some things stand in two columns (a telephone and a mobile)."""
    found: dict[str, tuple[int, ...]] = {}
    for at, cell in enumerate(row):
        column = _COLUMN.get(_key(cell))
        if column is not None:
            found[column] = (*found.get(column, ()), at)
    return found


def missing(found: dict[str, tuple[int, ...]]) -> list[str]:
    """The headings that a table of people needs and this one lacks."""
    return [name for name, columns in _REQUIRED.items() if columns.isdisjoint(found)]


def unknown(row: Row) -> list[str]:
    """The headings that mean nothing here, as they are written."""
    return [str(cell).strip() for cell in row if _key(cell) and _key(cell) not in _COLUMN]


def _key(cell: Cell) -> str:
    bare = re.sub(r"^\s*\d+\s*[.):-]|\([^)]*\)|\[[^]]*\]", " ", str(cell if cell is not None else ""))
    words = re.findall(r"[a-z0-9]+", folded(bare))
    return " ".join("n" if word in _NUMBERS else word for word in words if word not in _FILLERS)
