"""Rows of a CSV or XLSX file, whatever its encoding, separator or kind of cell. Not here: what the rows mean."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from python_calamine import CalamineError, CalamineWorkbook

Cell = object
Row = Sequence[Cell]

_SEPARATORS = ",;\t"
_ZIP = b"PK\x03\x04"
_OLD_EXCEL = b"\xd0\xcf\x11\xe0"


class UnreadableFile(Exception):  # noqa: N818
    """The file as a whole cannot be read; the message says why, in Spanish."""


def rows(path: Path, *, likeness: Callable[[Row], int]) -> list[Row]:
    """Every row of the first sheet, blank ones too. `likeness` scores a heading row, to tell separators apart."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnreadableFile(f"no se puede abrir {path.name}: {error.strerror}") from error
    if not content.strip():
        raise UnreadableFile(f"{path.name} está vacío")
    if content.startswith((_ZIP, _OLD_EXCEL)):
        return _workbook(path, content)
    return _separated(content, likeness)


def _workbook(path: Path, content: bytes) -> list[Row]:
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(content))
        return list(workbook.get_sheet_by_index(0).to_python(skip_empty_area=False))
    except (CalamineError, zipfile.BadZipFile, IndexError) as error:
        message = f"{path.name} no se puede leer como hoja de cálculo (¿dañada o con contraseña?)"
        raise UnreadableFile(message) from error


def _separated(content: bytes, likeness: Callable[[Row], int]) -> list[Row]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")

    def by(separator: str) -> list[Row]:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))

    try:
        readings = [by(separator) for separator in _SEPARATORS]
    except csv.Error as error:
        raise UnreadableFile(f"no se puede leer como CSV: {error}") from error
    return max(readings, key=lambda reading: max((likeness(row) for row in reading[:10]), default=0))
