"""Larger samples of the same shapes, made up from a seed: `python -m tests.data.generate DIR` writes them all.

640 people of 25 regions in messy files, and calls of 400 applications under other rules, each with what must come out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

from tests.data import messy_registrations, naive_call

Filed = dict[str, Any]

# No application here depends on the day: its people are far from 18.
CLOSING = date(2026, 11, 24)


@dataclass(frozen=True)
class Rules:
    """What is different from call to call; `grain` is the step between two scores."""

    code: str
    host_region: str
    host_city: str
    weights: dict[str, int]
    lowest: str
    highest: str
    grain: str
    reviews_required: int
    divergence_over: str
    minimum_total: str
    fund: str
    reserved_share_percent: int
    excluding: tuple[str, ...]
    days: int
    per_diem: str
    ceiling: str


RULES = {
    "trujillo": Rules(
        code="MOV-TRUJILLO-2026",
        host_region="13",
        host_city="trujillo",
        weights={"impact": 35, "network": 25, "track-record": 20, "feasibility": 12, "access": 8},
        lowest="1",
        highest="5",
        grain="0.5",
        reviews_required=2,
        divergence_over="15.5",
        minimum_total="58",
        fund="61234.55",
        reserved_share_percent=35,
        excluding=("15",),
        days=3,
        per_diem="87.35",
        ceiling="1010.10",
    ),
    "tacna": Rules(
        code="MOV-TACNA-2026",
        host_region="23",
        host_city="TACNA",
        weights={"quality": 60, "reach": 40},
        lowest="0",
        highest="20",
        grain="0.25",
        reviews_required=3,
        divergence_over="12",
        minimum_total="61.25",
        fund="40000",
        reserved_share_percent=70,
        excluding=("07", "15", "04"),
        days=5,
        per_diem="95.5",
        ceiling="1500",
    ),
    "iquitos": Rules(
        code="MOV-IQUITOS-2026",
        host_region="16",
        host_city="Iquitos",
        weights={"only": 100},
        lowest="0",
        highest="3",
        grain="1",
        reviews_required=1,
        divergence_over="0",
        minimum_total="0",
        fund="9999.99",
        reserved_share_percent=0,
        excluding=(),
        days=1,
        per_diem="0",
        ceiling="700",
    ),
}


def call(rules: Rules, people: Sequence[dict[str, str]], random: Random) -> Filed:
    """A call with an application of each of these people, and all the reviews that it needs."""
    filed: Filed = {
        "call": {
            "code": rules.code,
            "host_city": rules.host_city,
            "host_region": rules.host_region,
            "currency": "PEN",
            "fund": rules.fund,
            "reserved_share_percent": rules.reserved_share_percent,
            "reserved_excluding_regions": list(rules.excluding),
            "days": rules.days,
            "per_diem": rules.per_diem,
            "ceiling": rules.ceiling,
            "fares": {region: f"{random.randrange(8000, 90000) / 100}" for region in messy_registrations.REGIONS},
            "criteria": [
                {"key": key, "name": f"Criterio {key}", "weight": weight} for key, weight in rules.weights.items()
            ],
            "score_min": json.loads(rules.lowest),
            "score_max": json.loads(rules.highest),
            "reviews_required": rules.reviews_required,
            "divergence_over": rules.divergence_over,
            "minimum_total": rules.minimum_total,
            "rounding": "half up, 2 decimals",
            "evaluators": [f"jurado{n:02}@example.org" for n in range(1, 14)],
        },
        "applications": [_application(n, person, rules, random) for n, person in enumerate(people, start=1)],
        "reviews": [],
    }
    by_application = {one["ref"]: list(_reviews(filed["call"], one, rules, random)) for one in filed["applications"]}
    turns = [ref for ref, reviews in by_application.items() for _ in reviews]
    random.shuffle(turns)  # of one application the order stays: its last review may be the one that decides
    filed["reviews"] = [by_application[ref].pop(0) for ref in turns]
    return filed


def _application(n: int, person: dict[str, str], rules: Rules, random: Random) -> Filed:
    """Every fiftieth is a child, every other of these at the place of the meeting; every seventieth lives abroad."""
    return {
        "ref": f"P-{n:04}",
        "dni": person["document"],
        **{key: person[key] for key in ("given", "family", "email", "sector")},
        **_residence(n, person["region"], rules.host_region),
        "birth": person["birth"] if n % 50 else "2020-02-29",
        "requested": f"{random.randrange(20000, 160000, 5) / 100:.2f}",
        "project": f"Circuito de {person['family']}",
        **({"motivation": "Redes y programación. " * random.randrange(20)} if n % 3 else {}),
    }


def _residence(n: int, region: str, host_region: str) -> Filed:
    if n % 70 == 0:
        return {"country": "BO"}
    return {"region": region if n % 100 else host_region}


def _reviews(rules_filed: Filed, one: Filed, rules: Rules, random: Random) -> Iterator[Filed]:
    """As many reviews as the application needs, by different evaluators; none where it is not eligible."""
    if naive_call.reasons(rules_filed, one, CLOSING):
        return
    lowest, highest, grain = Fraction(rules.lowest), Fraction(rules.highest), Fraction(rules.grain)
    steps = int((highest - lowest) / grain)
    merit = random.randrange(steps + 1)
    totals: list[Fraction] = []
    for evaluator in random.sample(rules_filed["evaluators"], rules.reviews_required + 1):
        spread = steps // 5 + 1
        places = {key: min(steps, max(0, merit + random.randint(-spread, spread))) for key in rules.weights}
        scores = {key: _written(lowest + grain * place) for key, place in places.items()}
        yield {"ref": one["ref"], "evaluator": evaluator, "scores": scores, "comment": "Sustento."}
        totals.append(naive_call.total(rules_filed, scores))
        if len(totals) == rules.reviews_required and not naive_call.diverging(rules_filed, totals):
            return


def _written(score: Fraction) -> int | float:
    return int(score) if score.denominator == 1 else float(score)


def generate(directory: Path, *, seed: int = 2026, people: int = 640, applications: int = 400) -> None:
    """Write every sample with its expected file."""
    random = Random(seed)  # noqa: S311 — the same again, not secret
    known = messy_registrations.people(random, people)
    for suffix in (".csv", ".xlsx"):
        truth = messy_registrations.write(known, directory / f"inscripciones{suffix}", random)
        messy_registrations.write_counts(truth, directory / f"inscripciones{suffix}.expected.json")
    for name, rules in RULES.items():
        filed = call(rules, random.sample(known, applications), random)
        expected = naive_call.expected(filed, closing=CLOSING)
        for path, content in ((f"{name}.json", filed), (f"{name}.expected.json", expected)):
            (directory / path).write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    generate(Path(sys.argv[1]))
