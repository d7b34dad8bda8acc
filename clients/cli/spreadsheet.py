"""Rows of a CSV or XLSX file, whatever its encoding, separator or kind of cell. Not here: what the rows mean.

A row's place in the list is its number in a spreadsheet, from 1. What cannot be decoded becomes U+FFFD.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

from python_calamine import CalamineError, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

Cell = object
Row = Sequence[Cell]
Likeness = Callable[[Row], int]

# The heading is among the first rows: forms put a title above it.
HEAD = 10
UNDECODABLE = "\ufffd"

_SEPARATORS = ",;\t"
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_NO_TABLES = (b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"{\\rtf", b"<")
_WHY = {
    FileNotFoundError: "no existe",
    IsADirectoryError: "es una carpeta",
    PermissionError: "no tiene permiso para leerlo",
}


class UnreadableFile(Exception):  # noqa: N818
    """The file as a whole cannot be read; the message says why, in Spanish."""


def rows(path: Path, *, likeness: Likeness) -> list[Row]:
    """Every row, blank ones too. `likeness` scores a heading row: it tells separators and sheets apart."""
    content = content_of(path)
    if content.startswith(_WORKBOOKS):
        return _workbook(path, content, likeness)
    return _separated(path, _decoded(path, content), likeness)


def content_of(path: Path) -> bytes:
    """The bytes of a file that is there and not empty; raises UnreadableFile."""
    try:
        content = path.read_bytes()
    except OSError as error:
        why = _WHY.get(type(error), error.strerror)
        raise UnreadableFile(f"no se puede abrir {path.name}: {why}") from error
    if not content.strip():
        raise UnreadableFile(f"{path.name} está vacío")
    return content


def _workbook(path: Path, content: bytes, likeness: Likeness) -> list[Row]:
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(content))
        sheets = [workbook.get_sheet_by_name(name) for name in _worksheets(workbook)]
        readings: list[list[Row]] = [list(sheet.to_python(skip_empty_area=False)) for sheet in sheets]
    except CalamineError as error:
        message = f"{path.name} no se puede leer como hoja de cálculo (¿dañada o con contraseña?)"
        raise UnreadableFile(message) from error
    return max(readings, key=lambda reading: _likeness(reading, likeness), default=[])


def _worksheets(workbook: CalamineWorkbook) -> list[str]:
    """The names of the sheets that hold cells; hidden ones only if there is no other."""
    sheets = [sheet for sheet in workbook.sheets_metadata if sheet.typ is SheetTypeEnum.WorkSheet]
    shown = [sheet for sheet in sheets if sheet.visible is SheetVisibleEnum.Visible]
    return [sheet.name for sheet in shown or sheets]


def _likeness(reading: Sequence[Row], likeness: Likeness) -> int:
    return max((likeness(row) for row in reading[:HEAD]), default=0)


def _decoded(path: Path, content: bytes) -> str:
    if content.startswith(_UTF16):  # Excel's «Unicode text»
        return content.decode("utf-16", errors="replace")
    if content.startswith(_NO_TABLES) or content.count(0) * 10 > len(content):
        raise UnreadableFile(f"{path.name} no es un CSV ni una hoja de cálculo")
    text = content.decode("utf-8-sig", errors="replace")
    damaged = text.count(UNDECODABLE)
    if damaged * 2 > sum(character > "\x7f" for character in text):  # most accents are not UTF-8's
        return content.decode("cp1252", errors="replace")
    return text


def _separated(path: Path, text: str, likeness: Likeness) -> list[Row]:
    lines = io.StringIO(text, newline="").readlines()
    if lines and re.fullmatch(r"sep=.\s*", lines[0]):  # for Excel, which does not show it
        del lines[0]
    try:
        heads = {by: list(islice(csv.reader(lines, delimiter=by), HEAD)) for by in _SEPARATORS}
        return _records(path, lines, max(heads, key=lambda by: _likeness(heads[by], likeness)))
    except csv.Error as error:  # a cell of more than 128 KiB
        raise UnreadableFile(f"{path.name}: hay unas comillas que no se cierran") from error


def _records(path: Path, lines: list[str], separator: str) -> list[Row]:
    records: list[Row] = []
    start, reader = 0, csv.reader(lines, delimiter=separator)
    for record in reader:
        records.append(record)
        if reader.line_num > start + 1 and not _well_formed(lines[start : reader.line_num], separator):
            message = f"{path.name}, fila {len(records)}: las comillas abren una celda que no se cierra bien"
            raise UnreadableFile(message)
        start = reader.line_num
    return records


def _well_formed(lines: list[str], separator: str) -> bool:
    """Whether a record of several lines is one: a stray quotation mark would swallow the rows that follow."""
    try:
        list(csv.reader(lines, delimiter=separator, strict=True))
    except csv.Error:
        return False
    return True
