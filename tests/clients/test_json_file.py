from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from clients.cli.json_file import Filed, read_json
from clients.cli.spreadsheet import UnreadableFile


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "datos.json"


def test_numbers_are_exact_and_names_that_stand_twice_are_told(file: Path) -> None:
    file.write_text('\ufeff{"a": 0.1, "b": [{"x": 1, "y": -2, "x": 3}], "a": 1e2}', "utf-8")
    assert read_json(file) == Filed({"a": Decimal("1e2"), "b": [{"x": 3, "y": -2}]}, ("x", "a"))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ('{\n "a": 1\n "b": 2}', "línea 3, columna 2: falta una coma o una llave que cierre"),
        ('{"a" 1}', "línea 1, columna 6: faltan los dos puntos"),
        ('{"a": }', "línea 1, columna 7: falta un valor"),
        ("{a: 1}", "línea 1, columna 2: falta el nombre de un campo, entre comillas dobles"),
        ('{"a": "sin fin', "línea 1, columna 7: aquí empieza un texto sin comillas que lo cierren"),
        ('["a\nb"]', "línea 1, columna 4: hay un salto de línea u otro signo invisible dentro de un texto"),
        ('["\\x"]', "línea 1, columna 3: hay una barra invertida que no significa nada"),
        ("{} {}", "línea 1, columna 4: sobra texto después del final"),
    ],
)
def test_what_is_no_json_is_told_with_line_and_column(file: Path, content: str, what: str) -> None:
    file.write_text(content, "utf-8")
    with pytest.raises(UnreadableFile) as caught:
        read_json(file)
    assert str(caught.value) == f"datos.json no es JSON: {what}"


def test_other_encodings_are_told(file: Path) -> None:
    file.write_bytes('{"a": "ñ"}'.encode("cp1252"))
    with pytest.raises(UnreadableFile, match=r"datos\.json no está en UTF-8 \(byte 8\)"):
        read_json(file)


def test_a_number_beyond_all_amounts_and_a_nest_without_end_are_refused_in_no_time(file: Path) -> None:
    file.write_text(f"[1e999999999, {'9' * 5000}, -1e-999999999]", "utf-8")
    assert read_json(file).content == ["1e999999999", "9" * 5000, "-1e-999999999"]
    file.write_text("[" * 200_000, "utf-8")
    with pytest.raises(UnreadableFile, match="anida demasiado"):
        read_json(file)


def test_a_file_that_is_not_there_is_told(file: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"no se puede abrir datos\.json: no existe"):
        read_json(file)
