"""A figure: what was measured, the raw limit measured beside it, their ratio, and the bound that it has to keep."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

SIGN = {True: "[green]yes[/]", False: "[red]no[/]", None: "–"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """`target` is a bound on `ratio` where there is one, else on `value`; None where a figure is only recorded."""

    name: str
    value: float
    unit: str
    raw: float | None = None
    ratio: float | None = None
    target: str | None = None
    met: bool | None = None


@dataclass(frozen=True, slots=True)
class Bound:
    """At least, or at most, so much."""

    sign: str
    limit: float

    def __str__(self) -> str:
        """As it stands in tables."""
        return f"{self.sign} {self.limit:g}"

    def holds(self, measured: float) -> bool:
        """Whether what was measured keeps it."""
        return measured >= self.limit if self.sign == ">=" else measured <= self.limit


def at_least(limit: float) -> Bound:
    """A bound from below."""
    return Bound(">=", limit)


def at_most(limit: float) -> Bound:
    """A bound from above."""
    return Bound("<=", limit)


def compared(name: str, ours: Sequence[float], raw: Sequence[float], *, unit: str, bound: Bound | None) -> Figure:
    """The medians of rounds taken in turns, and their ratio."""
    value, limit = median(ours), median(raw)
    ratio = value / limit
    met = None if bound is None else bound.holds(ratio)
    return Figure(
        name=name,
        value=_round(value),
        unit=unit,
        raw=_round(limit),
        ratio=round(ratio, 3),
        target=None if bound is None else str(bound),
        met=met,
    )


def alone(name: str, value: float, *, unit: str, bound: Bound | None = None, raw: float | None = None) -> Figure:
    """A figure whose bound, if it has one, is on the value itself."""
    return Figure(
        name=name,
        value=_round(value),
        unit=unit,
        raw=None if raw is None else _round(raw),
        target=None if bound is None else str(bound),
        met=None if bound is None else bound.holds(value),
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def show(
    console: Console, figures: Sequence[Figure], *, machine: Mapping[str, Any], settings: Mapping[str, Any]
) -> None:
    """The heading and the table."""
    for title, entries in (("machine", machine), ("settings", settings)):
        console.print(f"[bold]{title}[/]  " + "  ".join(f"{name}={value}" for name, value in entries.items()))
    table = Table()
    for column in ("figure", "value", "unit", "raw, same run", "ratio", "target", "met"):
        table.add_column(column, justify="left" if column in {"figure", "unit"} else "right")
    for one in figures:
        raw, ratio = ("–" if number is None else f"{number:,g}" for number in (one.raw, one.ratio))
        table.add_row(one.name, f"{one.value:,g}", one.unit, raw, ratio, one.target or "–", SIGN[one.met])
    console.print(table, width=max(console.width, 110), crop=False)


def write(path: Path, figures: Sequence[Figure], *, machine: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """The same for machines."""
    content = {"machine": machine, "settings": settings, "figures": [asdict(one) for one in figures]}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def _round(number: float) -> float:
    return round(number, 0 if number >= 1000 else 1 if number >= 100 else 3)
