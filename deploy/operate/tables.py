"""What operators' tools find, as tables for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table

from deploy.operate.lag import Lag
from deploy.operate.parked import Parked

_WORDS = {"servicio", "era", "motivo"}


def lag_tables(lag: Lag) -> Iterator[Table]:
    """Streams, consumers, and what waits to be published or sent."""
    streams = _table("Flujos", "flujo", "mensajes", "bytes", "lleno", "primero", "último")
    for one in lag.streams:
        full = "–" if one.full is None else f"{one.full:.1%}"
        streams.add_row(one.stream, f"{one.messages}", _size(one.bytes), full, f"{one.first}", f"{one.last}")
    yield streams
    consumers = _table("Consumidores", "flujo", "servicio", "pendientes", "en curso", "reentregados", "el más antiguo")
    for each in lag.consumers:
        counts = (each.pending, each.unacknowledged, each.redelivered)
        consumers.add_row(each.stream, each.consumer, *(f"{count}" for count in counts), age(each.oldest_seconds))
    yield consumers
    waiting = _table("Por publicar y por enviar", "qué", "cuántos", "el más antiguo")
    for journal in lag.journals:
        waiting.add_row(f"hechos de {journal.what}", f"{journal.number}", age(journal.oldest_seconds))
    if lag.mails is not None:
        waiting.add_row("correos", f"{lag.mails.number}", age(lag.mails.oldest_seconds))
    yield waiting


def age(seconds: float | None) -> str:
    """A length of time in its two largest units."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def _table(title: str, first: str, *numbers: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column(first)
    for name in numbers:
        table.add_column(name, justify="left" if name in _WORDS else "right")
    return table


def _size(number: int) -> str:
    size = float(number)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def parked_table(found: Sequence[Parked]) -> Table:
    """What is parked, one a line; no headers, no payload."""
    table = _table("Mensajes apartados", "número", "servicio", "era", "del", "apartado", "intentos", "motivo")
    for one in found:
        stored = one.stored_at.astimezone().strftime("%d/%m %H:%M:%S") if one.stored_at else "–"
        parked_at = one.parked_at.astimezone().strftime("%d/%m %H:%M:%S")
        attempts = "–" if one.attempts is None else f"{one.attempts}"
        table.add_row(f"{one.sequence}", one.consumer, one.subject, stored, parked_at, attempts, one.reason)
    return table
