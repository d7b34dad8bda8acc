"""The measure report's figures: people counted once, money converted to the cent."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.evaluation.report import ExchangeRate, People, Totals, converted, figures

DAY = date(2019, 10, 3)
NOTHING = Totals(
    meetings=0,
    places=(),
    capacity=0,
    registrations=0,
    calls=0,
    applications=0,
    eligible=0,
    awards=0,
    pen=Decimal(0),
)


def usd(pen: str, rate: str) -> str:
    """An amount converted."""
    return str(converted(Decimal(pen), rate=ExchangeRate(Decimal(rate), DAY, "SBS")).amount)


@pytest.mark.parametrize(
    ("pen", "rate", "expected"),
    [
        ("0.00", "3.375", "0.00"),
        ("39707.03", "3.37", "11782.50"),
        ("1.005", "1", "1.01"),  # exactly between two cents: up
        ("0.05", "10", "0.01"),
        ("0.04", "10", "0.00"),
        ("12600.00", "3.75", "3360.00"),
    ],
)
def test_usd_are_rounded_half_up_to_cents(pen: str, rate: str, expected: str) -> None:
    assert usd(pen, rate) == expected


@given(
    pen=st.decimals(min_value=0, max_value="4999999999.99", places=2),
    rate=st.decimals(min_value="0.5", max_value=50, places=6),
)
def test_usd_are_never_more_than_half_a_cent_off(pen: Decimal, rate: Decimal) -> None:
    found = converted(pen, rate=ExchangeRate(rate, DAY, "SBS"))
    assert abs(Fraction(found.amount) - Fraction(pen) / Fraction(rate)) <= Fraction(1, 200)
    assert (found.pen_per_usd, found.date, found.source) == (rate, DAY, "SBS")


def test_people_without_a_region_or_a_sector_are_people() -> None:
    groups = [People("15", "music", 3), People("08", "music", 2), People(None, "design", 4), People("08", None, 1)]
    found = figures(NOTHING, people=groups, rate=None)
    assert found.people == 10
    assert list(found.regions.items()) == [("08", 3), ("15", 3)]
    assert list(found.sectors.items()) == [("design", 4), ("music", 5)]
    assert found.usd is None
