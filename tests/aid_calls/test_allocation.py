"""The allocation of a fund in two passes: examples, and properties against the rules written down once more."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.aid_calls.allocation import Allocation, Candidate, allocate
from shared.contracts.peru import REGIONS

CAPITAL = ("07", "15")


def candidate(rank: int, region: str | None, aid: str, total: str = "80.00") -> Candidate:
    return Candidate(UUID(int=rank), rank, Decimal(total), region, Decimal(aid))


def allocated(fund: str, *ranked: Candidate, percent: int = 50, minimum: str = "60") -> Allocation:
    return allocate(
        fund=Decimal(fund),
        reserved_share_percent=percent,
        reserved_excluding_regions=CAPITAL,
        minimum_total=Decimal(minimum),
        ranked=ranked,
    )


def told(allocation: Allocation) -> dict[str, Any]:
    """An allocation by ranks."""
    return {
        "awards": [(award.rank, award.money, str(award.amount)) for award in allocation.awards],
        "reserve": [key.int for key in allocation.reserve],
        "not_selected": [key.int for key in allocation.not_selected],
        "total": str(allocation.total),
        "left": str(allocation.left),
    }


def test_the_reserved_share_goes_first_then_everyone_down_the_order_of_merit() -> None:
    allocation = allocated(
        "1000.00",
        candidate(1, "15", "400.00"),
        candidate(2, "04", "300.00"),
        candidate(3, "15", "300.00"),
        candidate(4, "08", "200.00"),
        candidate(5, "15", "100.00"),
    )
    assert told(allocation) == {
        "awards": [
            (1, "general", "400.00"),
            (2, "reserved", "300.00"),
            (4, "reserved", "200.00"),
            (5, "general", "100.00"),
        ],
        "reserve": [3],
        "not_selected": [],
        "total": "1000.00",
        "left": "0.00",
    }


def test_an_aid_that_does_not_fit_is_passed_over_and_the_next_is_tried_in_either_pass() -> None:
    allocation = allocated(
        "1000.00",
        candidate(1, "04", "600.00"),
        candidate(2, "04", "450.00"),
        candidate(3, "04", "50.01"),
        candidate(4, "04", "50.00"),
        candidate(5, "15", "501.00"),
        candidate(6, "15", "400.00"),
    )
    assert told(allocation) == {
        "awards": [
            (2, "reserved", "450.00"),
            (3, "general", "50.01"),
            (4, "reserved", "50.00"),
            (6, "general", "400.00"),
        ],
        "reserve": [1, 5],
        "not_selected": [],
        "total": "950.01",
        "left": "49.99",
    }


def test_a_favoured_region_may_be_awarded_from_the_whole_fund_once_the_share_is_used() -> None:
    allocation = allocated("1000.00", candidate(1, "04", "500.00"), candidate(2, "04", "500.00"))
    assert told(allocation)["awards"] == [(1, "reserved", "500.00"), (2, "general", "500.00")]


@pytest.mark.parametrize(("percent", "money"), [(0, "general"), (100, "reserved")])
def test_a_share_may_be_nothing_or_everything(percent: int, money: str) -> None:
    allocation = allocated("500.00", candidate(1, "04", "500.00"), candidate(2, "15", "0.01"), percent=percent)
    assert told(allocation)["awards"] == [(1, money, "500.00")]
    assert told(allocation)["reserve"] == [2]


def test_the_minimum_is_enough_and_a_hundredth_less_is_not() -> None:
    allocation = allocated(
        "9000.00",
        candidate(1, "04", "1.00", "60.00"),
        candidate(2, "04", "1.00", "59.99"),
        candidate(3, "15", "1.00", "0.00"),
    )
    assert [award.rank for award in allocation.awards] == [1]
    assert told(allocation)["not_selected"] == [2, 3]


def test_a_share_of_half_a_centimo_is_rounded_up() -> None:
    allocation = allocated("0.03", candidate(1, "04", "0.02"), percent=50)
    assert told(allocation)["awards"] == [(1, "reserved", "0.02")]


def test_nobody_is_awarded_nothing_of_nothing() -> None:
    assert told(allocated("0.00")) == {"awards": [], "reserve": [], "not_selected": [], "total": "0.00", "left": "0.00"}
    assert told(allocated("0.00", candidate(1, "04", "0.01")))["reserve"] == [1]


class Case(NamedTuple):
    """What is to be allocated."""

    fund: Decimal
    percent: int
    excluding: tuple[str, ...]
    minimum: Decimal
    ranked: list[Candidate]

    def allocated(self, ranked: list[Candidate] | None = None) -> Allocation:
        """Its allocation, with the candidates in another order if one is given."""
        return allocate(
            fund=self.fund,
            reserved_share_percent=self.percent,
            reserved_excluding_regions=self.excluding,
            minimum_total=self.minimum,
            ranked=self.ranked if ranked is None else ranked,
        )


def cents(most: int) -> st.SearchStrategy[Decimal]:
    return st.integers(0, most).map(lambda number: Decimal(number) / 100)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Funds that run out somewhere, totals around the minimum, some regions favoured."""
    regions = st.one_of(st.none(), st.sampled_from(["04", "07", "08", "15", "21"]), st.sampled_from(sorted(REGIONS)))
    aids = st.one_of(cents(120_000), st.sampled_from([Decimal("520.00"), Decimal("0.01"), Decimal("1200.00")]))
    totals = st.one_of(cents(10_000), st.sampled_from([Decimal("60.00"), Decimal("59.99")]))
    people = draw(st.lists(st.tuples(regions, aids, totals), max_size=25))
    descending = sorted((total for _, _, total in people), reverse=True)
    ranked = [
        Candidate(UUID(int=rank * 7919 % 10_007), rank, total, region, aid)
        for rank, ((region, aid, _), total) in enumerate(zip(people, descending, strict=True), start=1)
    ]
    return Case(
        fund=draw(st.one_of(cents(900_000), cents(3))),
        percent=draw(st.integers(0, 100)),
        excluding=tuple(draw(st.sets(st.sampled_from(["04", "07", "15", "21"])))),
        minimum=draw(st.sampled_from([Decimal(0), Decimal("30.5"), Decimal(60), Decimal(100)])),
        ranked=ranked,
    )


def once_more(case: Case) -> dict[str, Any]:
    """domain.md, "Allocation", word for word, in whole centimos."""
    fund = int(case.fund * 100)
    share = (fund * case.percent + 50) // 100  # rounded half up
    money: dict[UUID, str] = {}
    spent = 0
    for name, available in (("reserved", share), ("general", fund)):
        for one in case.ranked:
            may = one.total >= case.minimum and one.application_id not in money
            if name == "reserved" and one.region in case.excluding:
                may = False
            if may and spent + int(one.aid * 100) <= available:
                spent += int(one.aid * 100)
                money[one.application_id] = name
    return {
        "awards": [
            (one.application_id, one.rank, one.aid, money[one.application_id])
            for one in case.ranked
            if one.application_id in money
        ],
        "reserve": [
            one.application_id for one in case.ranked if one.application_id not in money and one.total >= case.minimum
        ],
        "not_selected": [one.application_id for one in case.ranked if one.total < case.minimum],
        "total": Decimal(spent) / 100,
        "left": Decimal(fund - spent) / 100,
    }


def whole(allocation: Allocation) -> dict[str, Any]:
    """An allocation, as `once_more` tells it."""
    return {
        "awards": [(award.application_id, award.rank, award.amount, award.money) for award in allocation.awards],
        "reserve": list(allocation.reserve),
        "not_selected": list(allocation.not_selected),
        "total": allocation.total,
        "left": allocation.left,
    }


@given(case=cases())
def test_the_passes_are_as_they_are_written(case: Case) -> None:
    assert whole(case.allocated()) == once_more(case)


@given(case=cases())
def test_neither_fund_nor_share_is_ever_exceeded(case: Case) -> None:
    allocation = case.allocated()
    reserved = sum(award.amount for award in allocation.awards if award.money == "reserved")
    assert reserved <= case.fund * case.percent / 100 + Decimal("0.005")
    assert sum(award.amount for award in allocation.awards) == allocation.total <= case.fund
    assert allocation.left == case.fund - allocation.total >= 0


@given(case=cases(), chance=st.randoms())
def test_the_order_of_the_input_does_not_matter(case: Case, chance: random.Random) -> None:
    shuffled = list(case.ranked)
    chance.shuffle(shuffled)
    assert case.allocated(shuffled) == case.allocated()


@given(case=cases())
def test_everybody_is_awarded_or_in_reserve_or_not_selected(case: Case) -> None:
    allocation = case.allocated()
    ends = [*(award.application_id for award in allocation.awards), *allocation.reserve, *allocation.not_selected]
    assert sorted(ends) == sorted(one.application_id for one in case.ranked)


@given(case=cases())
def test_nobody_in_reserve_would_fit_into_what_is_left(case: Case) -> None:
    allocation = case.allocated()
    aids = {one.application_id: one.aid for one in case.ranked}
    assert [key for key in allocation.reserve if aids[key] <= allocation.left] == []
