"""The life of applications under any sequence of events, beside a model that says only what counts."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.aid_calls import commands
from shared.contracts import Fact
from shared.db import Tx
from tests.aid_calls.cast import (
    CLOSES_AT,
    OPENS_AT,
    a_ranking,
    an_application,
    by,
    call_state,
    codes,
    entered,
    heard,
    participant,
    sent,
    states,
    withdrawal,
)
from tests.aid_calls.conftest import Pool, undone

# Who does what: people are numbers, moments are hours from the closing.
APPLY = st.tuples(st.just("apply"), st.integers(0, 3), st.sampled_from([-800, -10, -1, 0, 1]))
WITHDRAW = st.tuples(st.just("withdraw"), st.integers(0, 3), st.just(0))
CLOCK = st.tuples(st.just("clock"), st.just(0), st.sampled_from([-5, 0, 1, 2]))
RANKED = st.tuples(st.just("ranked"), st.integers(0, 5), st.just(0))
FUND = Decimal("1100.00")  # for two of those who apply

# What follows what; a withdrawn application's person may send another one.
FOLLOWS = {
    "application-submitted": None,
    "application-ruled-eligible": {"application-submitted"},
    "application-withdrawn": {"application-submitted", "application-ruled-eligible"},
    "aid-awarded": {"application-ruled-eligible"},
    "aid-reserved": {"application-ruled-eligible"},
    "application-not-selected": {"application-ruled-eligible"},
}
STATE = {
    "application-submitted": "submitted",
    "application-ruled-eligible": "eligible",
    "application-withdrawn": "withdrawn",
    "aid-awarded": "awarded",
    "aid-reserved": "reserve",
    "application-not-selected": "not-selected",
}


class Lives:
    """What has happened, fact by fact."""

    def __init__(self, tx: Tx, call_id: UUID) -> None:
        self.tx = tx
        self.call_id = call_id
        self.people = [participant() for _ in range(4)]
        self.facts: dict[UUID, list[Fact]] = defaultdict(list)
        self.allocated = False

    def note(self, facts: Any) -> None:
        """Facts about applications; the call's own are not looked at."""
        for fact in facts:
            if fact.name in FOLLOWS:
                self.facts[fact.application_id].append(fact)

    def standing(self, person_id: UUID) -> list[UUID]:
        """A person's applications that are not withdrawn."""
        return [
            key
            for key, facts in self.facts.items()
            if facts[0].model_dump()["person_id"] == person_id and facts[-1].name != "application-withdrawn"
        ]

    async def apply(self, number: int, hours: int) -> None:
        """Accepted if it is in time, the first, and the fund is not given out."""
        person, at = self.people[number], CLOSES_AT + timedelta(hours=hours)
        may = OPENS_AT <= at <= CLOSES_AT and not self.standing(person.person_id) and not self.allocated
        [decision] = await commands.submit_applications(self.tx, [sent(an_application(self.call_id), person, at)])
        assert (not decision.problems) == may, codes(decision)
        self.note(decision.facts)

    async def withdraw(self, number: int, _: int) -> None:
        """Until the award; again changes nothing."""
        person = self.people[number]
        for key in self.standing(person.person_id):
            decided = STATE[self.facts[key][-1].name] in {"awarded", "reserve", "not-selected"}
            decision = await commands.withdraw_application(self.tx, withdrawal(key), by(person))
            assert bool(decision.problems) == decided
            self.note(decision.facts)
            again = await commands.withdraw_application(self.tx, withdrawal(key), by(person))
            assert again.facts == ()

    async def clock(self, _: int, hours: int) -> None:
        """It opens and closes, and rules on what is closed."""
        now: datetime = CLOSES_AT + timedelta(hours=hours)
        self.note(await commands.open_and_close_calls(self.tx, now))
        self.note(await commands.rule_on_applications(self.tx, now))

    async def ranked(self, number: int, _: int) -> None:
        """The order of merit of a closed call is heard, perhaps again; the lowest is below the minimum."""
        state, *_rest = await call_state(self.tx, self.call_id)
        if state not in {"closed", "results-published"}:
            return
        eligible = [key for key, facts in self.facts.items() if facts[-1].name == "application-ruled-eligible"]
        totals = [(key, "50.00" if place == number else "80.00") for place, key in enumerate(eligible)]
        self.note(await heard(self.tx, a_ranking(self.call_id, *sorted(totals, key=lambda one: one[1], reverse=True))))
        self.allocated = True


@given(steps=st.lists(st.one_of(APPLY, APPLY, WITHDRAW, CLOCK, RANKED), max_size=25))
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
async def test_whatever_happens_in_whatever_order_a_life_is_one_of_those_that_are_written_down(
    pool: Pool, steps: list[tuple[str, int, int]]
) -> None:
    async with undone(pool) as tx:
        lives = Lives(tx, await entered(tx, fund=FUND))
        for what, number, hours in steps:
            await getattr(lives, what)(number, hours)
        for facts in lives.facts.values():
            assert [fact.version for fact in facts] == list(range(1, len(facts) + 1))
            assert facts[0].name == "application-submitted"
            for former, fact in pairwise(facts):
                assert former.name in (FOLLOWS[fact.name] or ()), (former.name, fact.name)
        assert await states(tx, lives.call_id) == {
            key: (STATE[facts[-1].name], len(facts)) for key, facts in lives.facts.items()
        }
        awarded = [facts[-1].model_dump() for facts in lives.facts.values() if facts[-1].name == "aid-awarded"]
        total = sum((one["amount"] for one in awarded), Decimal(0))
        assert (await call_state(tx, lives.call_id))[2] == total <= FUND
