"""Eligibility, aid amounts, lateness, what is wrong with a call: the rules alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uuid_utils.compat import uuid7

from services.aid_calls import domain
from shared.contracts.aid_calls import ApplicationRuledEligible, ApplicationRuledIneligible, CallRules
from shared.contracts.wire import Problem
from tests.aid_calls.cast import CLOSES_AT, NOW, OPENS_AT, an_application, stated_rules

MICROSECOND = timedelta(microseconds=1)
CV, LETTER = ({"kind": kind, "sha256": "0" * 64} for kind in ("cv", "letter"))


def rules(**changes: Any) -> CallRules:
    """The rules of a call."""
    return CallRules.model_validate(stated_rules(**changes))


def kept(of: CallRules | None = None, **changes: Any) -> domain.Application:
    """An application as it stands once it is accepted."""
    return domain.application(
        an_application(uuid7(), **changes), person_id=uuid7(), accepted_at=NOW, rules=of or rules()
    )


def a_call(state: str = "open", **changes: Any) -> domain.Call:
    """A call as it stands."""
    return domain.Call(uuid7(), state, 2, rules(**changes))


def codes(problems: Sequence[Problem]) -> list[tuple[str, str | None]]:
    """What is wrong, and where."""
    return [(problem.code, problem.field) for problem in problems]


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({}, ()),
        ({"region": "15"}, ()),
        ({"region": "08"}, ("resides-in-host-region",)),
        ({"region": "25"}, ("region-without-fare",)),
        ({"country": "BO", "region": None}, ("resides-outside-peru",)),
        ({"country": "BO", "region": "04"}, ("resides-outside-peru",)),
        ({"country": "BO", "region": "08"}, ("resides-outside-peru",)),
        ({"birth": "2001-10-02"}, ("under-18",)),
    ],
)
def test_why_somebody_is_not_eligible(changes: dict[str, Any], reasons: tuple[str, ...]) -> None:
    assert domain.ineligibility(rules(), kept(**changes)) == reasons


def test_every_rule_that_is_failed_is_named_at_once() -> None:
    strict = rules(required_documents=["cv", "letter", "portfolio", "cv"])
    told = ("resides-in-host-region", "under-18", "missing-document-cv", "missing-document-portfolio")
    assert domain.ineligibility(strict, kept(region="08", birth="2010-01-01", documents=[LETTER])) == told
    abroad = domain.ineligibility(strict, kept(country="BO", region=None, birth="2010-01-01"))
    assert abroad[0] == "resides-outside-peru"
    assert len(abroad) == 5


def test_documents_that_are_there_are_not_missing_and_more_do_no_harm() -> None:
    strict = rules(required_documents=["cv", "letter"])
    assert domain.ineligibility(strict, kept(documents=[LETTER, CV, {**CV, "kind": "photo"}])) == ()


@pytest.mark.parametrize(
    ("closes_at", "birth", "reasons"),
    [
        # Closes on 1 October in Lima, at 13:00.
        (CLOSES_AT, "2001-10-01", ()),
        (CLOSES_AT, "2001-10-02", ("under-18",)),
        # 23:59 on 1 October in Lima is 2 October in UTC: the day in Lima counts.
        (datetime(2019, 10, 2, 4, 59, tzinfo=UTC), "2001-10-02", ("under-18",)),
        (datetime(2019, 10, 2, 4, 59, 59, 999999, tzinfo=UTC), "2001-10-02", ("under-18",)),
        (datetime(2019, 10, 2, 5, 0, tzinfo=UTC), "2001-10-02", ()),
        # Born on a 29 February: of age on 1 March of a year without one.
        (datetime(2022, 3, 1, 4, 59, tzinfo=UTC), "2004-02-29", ("under-18",)),
        (datetime(2022, 3, 1, 5, 0, tzinfo=UTC), "2004-02-29", ()),
    ],
)
def test_of_age_is_who_is_eighteen_on_the_day_of_closing_in_lima(
    closes_at: datetime, birth: str, reasons: tuple[str, ...]
) -> None:
    assert domain.ineligibility(rules(closes_at=closes_at), kept(birth=birth)) == reasons


@given(birth=st.dates(date(1900, 1, 1), date(2100, 1, 1)), on=st.dates(date(2000, 1, 1), date(2199, 12, 31)))
def test_age_counts_the_birthdays_that_have_come(birth: date, on: date) -> None:
    def birthday(year: int) -> date:
        return date(year, birth.month, birth.day) if (birth.month, birth.day) != (2, 29) else date(year, 3, 1)

    leap = (birth.month, birth.day) == (2, 29) and (on.month, on.day) == (2, 29)
    expected = sum(
        1 for year in range(birth.year + 1, on.year + 1) if birthday(year) <= on or (leap and year == on.year)
    )
    assert max(0, domain.age(birth, on=on)) == expected


@pytest.mark.parametrize(
    ("region", "requested", "aid"),
    [
        ("04", "519.99", "519.99"),  # what was asked for
        ("04", "520.00", "520.00"),
        ("04", "900.00", "520.00"),  # the tariff: 160 + 4 × 90
        ("01", "9000.00", "1140.00"),
        ("01", "0.01", "0.01"),
        ("25", "500.00", "0.00"),  # no fare, no tariff
        (None, "500.00", "0.00"),
    ],
)
def test_an_aid_is_the_smallest_of_what_was_asked_tariff_and_ceiling(
    region: str | None, requested: str, aid: str
) -> None:
    assert str(domain.aid_amount(rules(), region=region, requested=Decimal(requested))) == aid


def test_no_aid_is_larger_than_the_ceiling() -> None:
    low = rules(ceiling="300.00", per_diem="33.33", days=3, fares={"04": "200.02"})
    assert str(domain.aid_amount(low, region="04", requested=Decimal(1000))) == "300.00"
    assert str(domain.aid_amount(rules(ceiling="1200"), region="04", requested=Decimal("1E+2"))) == "100.00"
    exact = rules(per_diem="33.33", days=3, fares={"04": "200.02"})
    assert str(domain.aid_amount(exact, region="04", requested=Decimal(1000))) == "300.01"


@pytest.mark.parametrize(
    ("stored_at", "code"),
    [
        (OPENS_AT - MICROSECOND, "call-not-open"),
        (OPENS_AT, None),
        (CLOSES_AT - MICROSECOND, None),
        (CLOSES_AT, None),
        (CLOSES_AT + MICROSECOND, "late"),
    ],
)
def test_in_time_is_what_the_bus_stored_up_to_the_instant_of_closing(stored_at: datetime, code: str | None) -> None:
    problem = domain.untimely(rules(), stored_at=stored_at)
    assert (problem.code if problem else None) == code


def test_a_deadline_to_the_microsecond_is_kept_to_the_microsecond() -> None:
    closes_at = datetime(2019, 10, 1, 18, 0, 0, 123457, tzinfo=UTC)
    closing = rules(closes_at=closes_at.isoformat())
    assert domain.untimely(closing, stored_at=closes_at) is None
    late = domain.untimely(closing, stored_at=closes_at + MICROSECOND)
    assert late == Problem(code="late", detail={"closes_at": "2019-10-01T18:00:00.123457+00:00"})


def test_an_instant_in_another_zone_is_the_same_instant() -> None:
    closing = rules(closes_at="2019-10-01T13:00:00-05:00")
    assert (closing.closes_at, closing.closes_at.tzinfo) == (CLOSES_AT, UTC)


def test_why_an_application_is_not_accepted_all_at_once() -> None:
    nowhere = an_application(uuid7(), region=None)
    late = domain.application_problems(nowhere, a_call(), stored_at=CLOSES_AT + MICROSECOND)
    assert codes(late) == [("required", "region"), ("late", None)]
    assert domain.application_problems(an_application(uuid7()), a_call(), stored_at=CLOSES_AT) == []
    abroad = an_application(uuid7(), region=None, country="CL")
    assert domain.application_problems(abroad, a_call(), stored_at=CLOSES_AT) == []


def test_late_is_late_also_once_the_results_are_known() -> None:
    published = a_call("results-published")
    asked = [
        domain.application_problems(an_application(uuid7()), published, stored_at=at)
        for at in (CLOSES_AT, CLOSES_AT + MICROSECOND)
    ]
    assert [codes(problems) for problems in asked] == [[("results-published", "call_id")], [("late", None)]]


def test_everything_that_is_wrong_with_a_call_is_told_at_once() -> None:
    criteria = [{"key": key, "name": "Criterio", "weight": 40} for key in ("b", "a", "b", "a")]
    wrong = rules(closes_at=OPENS_AT, score_min="-1", score_max="-1", criteria=criteria, fares={})
    assert codes(domain.call_problems(wrong)) == [
        ("closes-before-opening", "closes_at"),
        ("score-range-empty", "score_max"),
        ("score-range-not-positive", "score_min"),
        ("weights-not-100", "criteria"),
        ("repeated-criterion", "criteria"),
        ("repeated-criterion", "criteria"),
        ("required", "fares"),
    ]
    details = [problem.detail for problem in domain.call_problems(wrong)]
    assert details[3:6] == [{"sum": 160}, {"key": "a"}, {"key": "b"}]
    assert domain.call_problems(rules()) == ()


@pytest.mark.parametrize(
    ("low", "high", "problems"),
    [
        ("0", "0", ["score-range-empty", "score-range-not-positive"]),
        ("0", "0.01", []),
        ("1", "5", []),
        ("5", "5", ["score-range-empty"]),
        ("-0.01", "5", ["score-range-not-positive"]),
    ],
)
def test_scores_have_a_range_from_nought_up(low: str, high: str, problems: list[str]) -> None:
    found = domain.call_problems(rules(score_min=low, score_max=high))
    assert [problem.code for problem in found] == problems


def test_a_ruling_is_eligible_or_says_every_reason() -> None:
    application = kept()
    assert domain.ruling(rules(), application) == ApplicationRuledEligible(**application.public(), version=2)
    child = kept(region="08", birth="2010-01-01")
    assert domain.ruling(rules(), child) == ApplicationRuledIneligible(
        **child.public(), version=2, reasons=("resides-in-host-region", "under-18")
    )


def test_facts_carry_nothing_of_a_person_but_statistics() -> None:
    application = kept()
    public = application.public()
    assert set(public) == {
        "application_id",
        "call_id",
        "person_id",
        "region",
        "sector",
        "requested",
        "aid",
        "accepted_at",
    }
