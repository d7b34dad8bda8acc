"""A JSON file that people write, with exact numbers; what is wrong with it is said with its line and column."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from clients.cli.spreadsheet import UnreadableFile, content_of

_WHAT = {
    "Expecting value": "falta un valor",
    "Expecting ',' delimiter": "falta una coma o una llave que cierre",
    "Expecting ':' delimiter": "faltan los dos puntos",
    "Expecting property name": "falta el nombre de un campo, entre comillas dobles",
    "Unterminated string": "aquí empieza un texto sin comillas que lo cierren",
    "Invalid control character": "hay un salto de línea u otro signo invisible dentro de un texto",
    "Invalid \\": "hay una barra invertida que no significa nada",
    "Extra data": "sobra texto después del final",
    "Illegal trailing comma": "sobra una coma",
}
# Beyond any amount there is; written out in digits such a number would take all memory.
_MOST_DIGITS = 40


class Filed(NamedTuple):
    """What a file holds, and the names that stand twice in one and the same object of it."""

    content: Any
    repeated: tuple[str, ...]


def read_json(path: Path) -> Filed:
    """Read a file; raises UnreadableFile saying what is wrong where, in Spanish."""
    repeated: list[str] = []

    def noted(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        repeated.extend(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
        return dict(pairs)

    try:
        text = content_of(path).decode("utf-8-sig")
        content = json.loads(text, parse_float=_number, parse_int=_number, object_pairs_hook=noted)
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"{path.name} no está en UTF-8 (byte {error.start + 1})") from error
    except json.JSONDecodeError as error:
        what = next((said for known, said in _WHAT.items() if error.msg.startswith(known)), "error de sintaxis")
        message = f"{path.name} no es JSON: línea {error.lineno}, columna {error.colno}: {what}"
        raise UnreadableFile(message) from error
    except RecursionError as error:
        raise UnreadableFile(f"{path.name} no es JSON que se pueda leer: anida demasiado") from error
    return Filed(content, tuple(repeated))


def _number(digits: str) -> Decimal | int | str:
    value = Decimal(digits)
    if not value.is_finite() or abs(value.adjusted()) > _MOST_DIGITS:
        return digits  # as text: whoever expects a number refuses it
    return int(value) if digits.lstrip("-").isdigit() else value
