"""Larger stories of the same shapes, made up from a seed: 640 people of 25 regions, 400 applications, other rules.

What must come out is worked out beside the system, in fractions, by `tests/data`; every field is compared.
"""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

import pytest

from clients.cli.call_file import read_call_file
from clients.cli.registrations_file import read_registrations
from clients.cli.story import DEMO_RATE, Told
from deploy.embedded.stack import Options, running
from deploy.story import play_on
from shared.contracts.people import half_up
from tests.data import messy_registrations
from tests.data.generate import generate

SEED, PEOPLE = 2026, 640

Filed = dict[str, Any]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up files, each with its expected one."""
    directory = tmp_path_factory.mktemp("samples")
    generate(directory, seed=SEED, people=PEOPLE)
    return directory


def read(path: Path) -> Filed:
    """A JSON file."""
    content: Filed = json.loads(path.read_text(encoding="utf-8"))
    return content


def mails(filed: Filed, expected: Filed) -> dict[str, int]:
    """One mail per person, fact and template; an evaluator is told once for each round in which they get something."""
    required, seen = filed["call"]["reviews_required"], Counter[str]()
    told: set[tuple[bool, str]] = set()
    for review in filed["reviews"]:
        told.add((seen[review["ref"]] >= required, review["evaluator"]))
        seen[review["ref"]] += 1
    return {
        "aid-awarded": len(expected["awarded"]),
        "aid-reserved": len(expected["reserve"]),
        "application-not-selected": len(expected["below_minimum"]),
        "application-ruled-eligible": expected["eligible"],
        "application-ruled-ineligible": len(expected["ineligible"]),
        "application-submitted": len(filed["applications"]),
        "evaluator-assigned": len(told),
        "registration-confirmed": PEOPLE,
    }


def report(filed: Filed, expected: Filed) -> Filed:
    """The measure report of one meeting and one call."""
    people = messy_registrations.people(Random(SEED), PEOPLE)  # noqa: S311 — the same again, not secret
    pen = Decimal(expected["total_awarded"])
    return {
        "meetings": 1,
        "places": [filed["call"]["host_city"].title()],
        "capacity": PEOPLE,
        "registrations": PEOPLE,
        "people": PEOPLE,
        "regions": dict(Counter(one["region"] for one in people)),
        "sectors": dict(Counter(one["sector"] for one in people)),
        "calls": 1,
        "applications": len(filed["applications"]),
        "eligible": expected["eligible"],
        "awards": len(expected["awarded"]),
        "pen": expected["total_awarded"],
        "usd": {
            "amount": str(half_up(pen / Decimal(DEMO_RATE.pen_per_usd))),
            "pen_per_usd": DEMO_RATE.pen_per_usd,
            "date": DEMO_RATE.date,
            "source": DEMO_RATE.source,
        },
    }


@pytest.mark.slow
@pytest.mark.parametrize(("call", "registrations"), [("trujillo", "csv"), ("tacna", "xlsx")])
async def test_a_large_story_gives_what_was_worked_out_beside_it_in_less_than_a_minute(
    tmp_path: Path, samples: Path, call: str, registrations: str
) -> None:
    filed, expected = read(samples / f"{call}.json"), read(samples / f"{call}.expected.json")
    people = samples / f"inscripciones.{registrations}"
    started = monotonic()
    async with running(tmp_path, options=Options(sync_interval="2m"), handle_signals=False) as stack:
        found, told, parked = await play_on(stack, read_registrations(people), read_call_file(samples / f"{call}.json"))
        seconds = monotonic() - started
    _say(call, told, seconds)
    expected["registrations"] = read(people.with_suffix(f"{people.suffix}.expected.json"))
    expected["mails"] = {name: number for name, number in mails(filed, expected).items() if number}
    expected["receipts_verified"] = len(filed["applications"])
    expected["report"] = report(filed, expected)
    for field, value in expected.items():
        assert found[field] == value, field
    assert set(found) == set(expected)
    assert (told.without_outcome, told.rejected, parked) == (0, [], 0)
    assert seconds < 60


def _say(call: str, told: Told, seconds: float) -> None:
    print(f"{call}: {seconds:.1f} s in all, {told.commands} commands, {told.seconds}")  # noqa: T201 — measured
