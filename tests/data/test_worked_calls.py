"""Whole calls through the pure rules of two services, against what must come out: the sample, and made-up ones."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from clients.cli.call_file import CallFile, FiledApplication, FiledReview, read_call_file
from services.aid_calls import domain
from services.aid_calls.allocation import Allocation, Candidate, allocate
from services.evaluation import scoring
from shared.contracts.aid_calls import CallRules, SubmitApplication
from shared.contracts.evaluation import RankedApplication
from tests.data import naive_call
from tests.data.generate import CLOSING, RULES, generate

DATA = Path(__file__).parent
CLOSES_AT = datetime(CLOSING.year, CLOSING.month, CLOSING.day, 18, tzinfo=UTC)


class Scored(NamedTuple):
    """A review, as scoring needs it."""

    scores: Mapping[str, Decimal]
    total: Decimal


class Reviewed(NamedTuple):
    """An application with its reviews, as scoring needs it."""

    application_id: UUID
    accepted_at: datetime
    reviews: list[Scored]

    @property
    def totals(self) -> list[Decimal]:
        """Of its reviews."""
        return [review.total for review in self.reviews]


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("samples")
    generate(directory)
    return directory


@pytest.fixture(params=["movilidad-cusco-2019", *RULES])
def sample(request: pytest.FixtureRequest, made_up: Path) -> Path:
    directory = made_up if request.param in RULES else DATA
    return directory / f"{request.param}.json"


def submitted(one: FiledApplication, rules: CallRules, came: int) -> domain.Application:
    command = SubmitApplication(
        application_id=uuid7(),
        call_id=UUID(int=1),
        country=one.country,
        region=one.region,
        birth=one.birth,
        sector=one.sector,
        requested=one.requested,
        project=one.project,
    )
    accepted_at = rules.opens_at + timedelta(microseconds=came)
    return domain.application(command, person_id=uuid7(), accepted_at=accepted_at, rules=rules)


def under_review(one: domain.Application, reviews: list[FiledReview], rules: CallRules) -> Reviewed:
    scored = [Scored(review.scores, scoring.review_total(review.scores, rules=rules)) for review in reviews]
    return Reviewed(one.application_id, one.accepted_at, scored)


def allocated(rules: CallRules, order: list[RankedApplication], known: Mapping[UUID, domain.Application]) -> Allocation:
    ranked = [
        Candidate(place.application_id, place.rank, place.total, one.region, one.aid)
        for place, one in ((place, known[place.application_id]) for place in order)
    ]
    return allocate(
        fund=rules.fund,
        reserved_share_percent=rules.reserved_share_percent,
        reserved_excluding_regions=rules.reserved_excluding_regions,
        minimum_total=rules.minimum_total,
        ranked=ranked,
    )


def played(filed: CallFile) -> dict[str, Any]:
    """What the services' rules give for a file, in the shape of an expected file."""
    rules = filed.rules(opens_at=CLOSES_AT - timedelta(days=1), closes_at=CLOSES_AT)
    applications = {one.ref: submitted(one, rules, came) for came, one in enumerate(filed.applications)}
    refs = {one.application_id: ref for ref, one in applications.items()}
    ineligible = {ref: list(why) for ref, one in applications.items() if (why := domain.ineligibility(rules, one))}
    assert filed.missing_reviews(applications.keys() - ineligible.keys()) == []
    reviews = defaultdict[str, list[FiledReview]](list)
    for review in filed.reviews:
        reviews[review.ref].append(review)
    panel = {ref: under_review(one, reviews[ref], rules) for ref, one in applications.items() if ref not in ineligible}
    assert {
        ref for ref, one in panel.items() if scoring.reviews_needed(one.totals, rules=rules) != len(one.totals)
    } == set()
    order = scoring.ranking(panel.values(), rules=rules)
    allocation = allocated(rules, order, {one.application_id: one for one in applications.values()})
    return {
        "eligible": len(panel),
        "ineligible": ineligible,
        "third_reviews": [ref for ref, one in panel.items() if scoring.diverge(one.totals, rules=rules)],
        "ranking": [
            {
                "rank": place.rank,
                "ref": refs[place.application_id],
                "total": str(place.total),
                "criterion_means": [str(mean) for mean in place.criterion_means],
            }
            for place in order
        ],
        "awarded": [
            {"ref": refs[award.application_id], "amount": str(award.amount), "money": award.money}
            for award in allocation.awards
        ],
        "reserve": [refs[key] for key in allocation.reserve],
        "below_minimum": [refs[key] for key in allocation.not_selected],
        "total_awarded": str(allocation.total),
        "left": str(allocation.left),
    }


def test_the_rules_give_what_must_come_out(sample: Path) -> None:
    assert played(read_call_file(sample)) == json.loads(sample.with_suffix(".expected.json").read_text("utf-8"))


def test_the_slow_way_gives_the_expected_file_of_the_sample() -> None:
    filed = json.loads((DATA / "movilidad-cusco-2019.json").read_text("utf-8"))
    expected = json.loads((DATA / "movilidad-cusco-2019.expected.json").read_text("utf-8"))
    assert naive_call.expected(filed, closing=CLOSING) == expected


def test_made_up_calls_have_what_is_hard_in_a_call(made_up: Path) -> None:
    told = {name: json.loads((made_up / f"{name}.expected.json").read_text("utf-8")) for name in RULES}
    hard = {
        "regions": {len({one.get("region") for one in _filed(made_up, name)["applications"]}) for name in RULES},
        "reasons": {tuple(reasons) for one in told.values() for reasons in one["ineligible"].values()},
        "thirds": [bool(one["third_reviews"]) for one in told.values()],
        "both moneys": [len({award["money"] for award in one["awarded"]}) for one in told.values()],
        "reserve": all(one["reserve"] for one in told.values()),
        "ties": all(_tied(one["ranking"]) for one in told.values()),
    }
    assert hard == {
        "regions": {26},  # one of them is abroad
        "reasons": {
            ("under-18",),
            ("resides-in-host-region",),
            ("resides-in-host-region", "under-18"),
            ("resides-outside-peru",),
            ("resides-outside-peru", "under-18"),
        },
        "thirds": [True, True, False],
        "both moneys": [2, 2, 1],
        "reserve": True,
        "ties": True,
    }


def _filed(directory: Path, name: str) -> dict[str, Any]:
    filed: dict[str, Any] = json.loads((directory / f"{name}.json").read_text("utf-8"))
    return filed


def _tied(ranking: list[dict[str, Any]]) -> bool:
    """Whether there are two that only the time of acceptance tells apart."""
    seen = [(place["total"], tuple(place["criterion_means"])) for place in ranking]
    return len(set(seen)) < len(seen)


def test_the_same_seed_gives_the_same_files(made_up: Path, tmp_path: Path) -> None:
    generate(tmp_path)
    again = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert again == {file.name: file.read_bytes() for file in made_up.iterdir()}
