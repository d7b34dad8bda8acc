"""The worked call of Cusco 2019, as facts and commands on a real database: thirds and order of merit as expected."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from services.evaluation import commands, queries
from shared.contracts import Fact
from shared.contracts.aid_calls import (
    ApplicationRuledEligible,
    ApplicationRuledIneligible,
    ApplicationSubmitted,
    CallClosed,
    CallOpened,
    CallRules,
)
from shared.contracts.evaluation import FinaliseRanking, PanelProgress, PanelProgressAnswer, Ranking, RankingFinalised
from shared.db import Tx
from shared.identity import Actor
from tests.evaluation.cast import NOW, a_review, assigned, by, evaluator, hear, sent, the_application, the_rules

DATA = Path(__file__).parents[1] / "data"
Filed = Mapping[str, Any]


def read(name: str) -> Any:
    """A sample file."""
    return json.loads((DATA / name).read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Sample:
    """The call of a file under way; applications and evaluators by the file's own references."""

    tx: Tx
    call_id: UUID
    applications: dict[str, UUID]
    jury: dict[str, Actor] = field(default_factory=lambda: defaultdict(evaluator))

    def ref(self, application_id: UUID) -> str:
        """The file's reference of an application."""
        return next(ref for ref, known in self.applications.items() if known == application_id)

    async def reviewed(self, reviews: Iterable[Filed]) -> None:
        """Assign what these evaluators review, then take their reviews in one batch."""
        reviews = list(reviews)
        given = defaultdict(list)
        for review in reviews:
            given[review["evaluator"]].append(self.applications[review["ref"]])
        decisions = [await assigned(self.tx, self.call_id, self.jury[name], *keys) for name, keys in given.items()]
        senders = [
            sent(
                a_review(self.applications[review["ref"]], review["scores"], review["comment"]),
                self.jury[review["evaluator"]],
            )
            for review in reviews
        ]
        decisions += await commands.submit_reviews(self.tx, senders)
        assert [decision.problems for decision in decisions] == [()] * len(decisions)

    async def progress(self) -> PanelProgressAnswer:
        """How far the panel is."""
        return await queries.panel(self.tx, PanelProgress(call_id=self.call_id), None)


async def begun(tx: Tx, filed: Filed, ineligible: Mapping[str, list[str]]) -> Sample:
    """The call is open, applications came in the file's order, the call is closed, all are ruled on."""
    rules = the_rules(**{key: value for key, value in filed["call"].items() if key in CallRules.model_fields})
    states = {
        one["ref"]: the_application(
            rules["call_id"],
            region=one["region"],
            sector=one["sector"],
            requested=one["requested"],
            accepted_at=NOW - timedelta(days=2) + timedelta(milliseconds=place),
        )
        for place, one in enumerate(filed["applications"])
    }
    facts: list[Fact] = [CallOpened(**rules, version=2)]
    facts += [ApplicationSubmitted(**state, version=1) for state in states.values()]
    facts += [CallClosed(**rules, version=3)]
    facts += [
        ApplicationRuledIneligible(**state, version=2, reasons=tuple(ineligible[ref]))
        if ref in ineligible
        else ApplicationRuledEligible(**state, version=2)
        for ref, state in states.items()
    ]
    await hear(tx, facts)
    return Sample(tx, rules["call_id"], {ref: state["application_id"] for ref, state in states.items()})


def in_rounds(filed: Filed) -> tuple[list[Filed], list[Filed]]:
    """The required reviews of each application, and those beyond."""
    required, seen = filed["call"]["reviews_required"], Counter[str]()
    rounds: tuple[list[Filed], list[Filed]] = ([], [])
    for review in filed["reviews"]:
        rounds[seen[review["ref"]] >= required].append(review)
        seen[review["ref"]] += 1
    return rounds


async def test_the_sample_gives_the_expected_third_reviews_and_order_of_merit(tx: Tx) -> None:
    filed, expected = read("movilidad-cusco-2019.json"), read("movilidad-cusco-2019.expected.json")
    sample = await begun(tx, filed, expected["ineligible"])
    first, extra = in_rounds(filed)
    await sample.reviewed(first)
    progress = await sample.progress()
    thirds = sorted(sample.ref(one.application_id) for one in progress.applications if one.third_needed)
    assert (len(progress.applications), thirds) == (expected["eligible"], expected["third_reviews"])
    await sample.reviewed(extra)
    assert (await sample.progress()).complete is True
    (fact,) = (await commands.finalise_ranking(tx, FinaliseRanking(call_id=sample.call_id), by())).facts
    answer = await queries.ranking(tx, Ranking(call_id=sample.call_id), None)
    assert isinstance(fact, RankingFinalised)
    assert answer.ranking == fact.ranking
    assert sorted(sample.ref(key) for key in answer.third_reviews) == expected["third_reviews"]
    assert [
        {
            "rank": place.rank,
            "ref": sample.ref(place.application_id),
            "total": str(place.total),
            "criterion_means": [str(mean) for mean in place.criterion_means],
        }
        for place in answer.ranking
    ] == expected["ranking"]
