from __future__ import annotations

import pytest

from clients.cli.headings import columns, missing, unknown


@pytest.mark.parametrize(
    ("typed", "column"),
    [
        ("Nombres", "given"),
        ("  NOMBRE(S) ", "given"),
        ("apellidos", "family"),
        ("Apellido paterno", "paternal"),
        ("2.  Segundo   apellido", "maternal"),
        ("3) ¿DNI?", "document"),
        ("SEGUNDO APELLIDO", "maternal"),
        ("DNI", "document"),
        ("D.N.I.", "document"),
        ("N° de documento", "document"),
        ("Nº DNI", "document"),
        ("Nro. de Documento de Identidad", "document"),
        ("Número de documento de identidad (DNI)", "document"),
        ("NUMERO DE DNI:", "document"),
        ("Documento de identidad", "document"),
        ("DNI / CE", "document"),
        ("Tipo de documento", "document.type"),
        ("Correo", "email"),
        ("Correo electrónico", "email"),
        ("CORREO ELECTRONICO *", "email"),
        ("Dirección de correo electrónico", "email"),
        ("E-mail", "email"),
        ("Email Address", "email"),
        ("Fecha de nacimiento [dd/mm/aaaa]", "birth"),
        ("F. de nacimiento", "birth"),
        ("Región", "region"),
        ("REGION DE RESIDENCIA", "region"),
        ("Departamento", "region"),
        ("Región / Departamento", "region"),
        ("Sector cultural", "sector"),
        ("Género", "gender"),
        ("Sexo", "gender"),
        ("Celular", "phone"),
        ("Teléfono", "phone"),
        ("N° de celular", "phone"),
        ("Whatsapp", "phone"),
        ("Re\u0301gion", "region"),  # an accent of its own, where none belongs
        ("Marca temporal", None),
        ("Nombre del proyecto", None),
        ("", None),
        (None, None),
        (2019.0, None),
    ],
)
def test_a_heading_is_known_however_it_is_typed(typed: object, column: str | None) -> None:
    assert columns([typed]) == ({column: (0,)} if column else {})


def test_what_is_asked_twice_stands_in_two_columns() -> None:
    assert columns(["Teléfono", "x", "Celular"]) == {"phone": (0, 2)}


def test_every_column_that_is_lacking_is_named() -> None:
    assert missing(columns(["Correo"])) == ["Nombres", "Apellidos", "DNI", "Región"]
    assert missing(columns(["Nombres", "Apellido paterno", "DNI", "Correo", "Departamento"])) == []


def test_headings_that_mean_nothing_are_told_as_they_are_written() -> None:
    assert unknown(["Nombres", " ¿Qué espera? ", "", None, "Correo"]) == ["¿Qué espera?"]
