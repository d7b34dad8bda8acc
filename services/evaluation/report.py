"""The figures of the measure report: what evaluation has heard, added up, and PEN in USD. Pure: rows come in.

A person counts once, under the region and sector of the newest of their registrations that stand; those who stated
none are people all the same, so regions and sectors may add to less.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from shared.contracts.evaluation import Converted, MeasureReportAnswer
from shared.contracts.people import half_up


@dataclass(frozen=True, slots=True)
class Totals:
    """What is simply counted. `applications` are all that were submitted, also those withdrawn since."""

    meetings: int
    places: tuple[str, ...]
    capacity: int
    registrations: int
    calls: int
    applications: int
    eligible: int
    awards: int
    pen: Decimal


@dataclass(frozen=True, slots=True)
class People:
    """How many people of one region and sector there are, either may be unknown."""

    region: str | None
    sector: str | None
    people: int


@dataclass(frozen=True, slots=True)
class ExchangeRate:
    """How many PEN one USD cost on a day, and who says so."""

    pen_per_usd: Decimal
    date: date
    source: str


def figures(totals: Totals, *, people: Iterable[People], rate: ExchangeRate | None) -> MeasureReportAnswer:
    """The report as it stands."""
    regions: Counter[str] = Counter()
    sectors: Counter[str] = Counter()
    everybody = 0
    for group in people:
        everybody += group.people
        if group.region is not None:
            regions[group.region] += group.people
        if group.sector is not None:
            sectors[group.sector] += group.people
    return MeasureReportAnswer(
        meetings=totals.meetings,
        places=totals.places,
        capacity=totals.capacity,
        registrations=totals.registrations,
        people=everybody,
        regions=dict(sorted(regions.items())),
        sectors=dict(sorted(sectors.items())),
        calls=totals.calls,
        applications=totals.applications,
        eligible=totals.eligible,
        awards=totals.awards,
        pen=totals.pen,
        usd=converted(totals.pen, rate=rate) if rate else None,
    )


def converted(pen: Decimal, *, rate: ExchangeRate) -> Converted:
    """PEN in USD, half up to cents, with the rate, its day and its source."""
    return Converted(
        amount=half_up(pen / rate.pen_per_usd),
        pen_per_usd=rate.pen_per_usd,
        date=rate.date,
        source=rate.source,
    )
