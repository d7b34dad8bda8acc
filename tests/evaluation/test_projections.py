"""What evaluation keeps of what it hears is the same however often and in whatever order it hears it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from uuid_utils.compat import uuid7

from shared.contracts import Fact
from shared.contracts.aid_calls import (
    AidAwarded,
    ApplicationRuledEligible,
    ApplicationRuledIneligible,
    ApplicationSubmitted,
    ApplicationWithdrawn,
    CallClosed,
    CallOpened,
)
from shared.contracts.registration import (
    MeetingPublished,
    RegistrationCancelled,
    RegistrationConfirmed,
    RegistrationPromoted,
)
from shared.db import Tx
from tests.evaluation.cast import AWARD, hear, the_application, the_meeting, the_registration, the_rules

PROJECTIONS = ("meetings", "registrations", "calls", "applications")


async def projections(tx: Tx) -> dict[str, list[tuple[Any, ...]]]:
    """Everything kept, as it stands."""
    found = {table: await tx.fetch(f"select * from evaluation.{table} order by 1") for table in PROJECTIONS}
    return {table: [tuple(row) for row in rows] for table, rows in found.items()}


async def kept(tx: Tx, batches: Sequence[Sequence[Fact]]) -> dict[str, list[tuple[Any, ...]]]:
    """What is kept after hearing these batches from the beginning; nothing of it stays."""
    attempt = tx.transaction()
    await attempt.start()
    for batch in batches:
        await hear(tx, batch)
    found = await projections(tx)
    await attempt.rollback()
    return found


def versions(first: int, *kinds: tuple[type[Fact], dict[str, Any]]) -> list[Fact]:
    """Facts about one thing, one after the other."""
    return [kind(version=version, **state) for version, (kind, state) in enumerate(kinds, start=first)]


def a_registration(course: str) -> list[Fact]:
    """Everything heard of one registration."""
    state = the_registration()
    confirmed, promoted = (RegistrationConfirmed, state), (RegistrationPromoted, state)
    cancelled = (RegistrationCancelled, state)
    return {
        "confirmed": versions(1, confirmed),
        "given up": versions(1, confirmed, cancelled),
        "promoted": versions(2, promoted),  # the first was being waitlisted, which nobody here hears
        "promoted, given up": versions(2, promoted, cancelled),
        "given up while waiting": versions(2, cancelled),
    }[course]


def an_application(call_id: UUID, course: str) -> list[Fact]:
    """Everything heard of one application."""
    state = the_application(call_id)
    submitted, eligible = (ApplicationSubmitted, state), (ApplicationRuledEligible, state)
    withdrawn = (ApplicationWithdrawn, state)
    return {
        "submitted": versions(1, submitted),
        "withdrawn": versions(1, submitted, withdrawn),
        "ineligible": versions(1, submitted, (ApplicationRuledIneligible, {**state, "reasons": ["under-age"]})),
        "eligible": versions(1, submitted, eligible),
        "eligible, withdrawn": versions(1, submitted, eligible, withdrawn),
        "awarded": versions(1, submitted, eligible, (AidAwarded, {**state, **AWARD, "amount": "512.30"})),
    }[course]


@st.composite
def histories(draw: st.DrawFn) -> list[list[Fact]]:
    """What happened to some meetings, registrations, calls and applications: one list for each, in order."""
    things = [versions(2, (MeetingPublished, the_meeting())) for _ in range(draw(st.integers(0, 2)))]
    courses = st.sampled_from(["confirmed", "given up", "promoted", "promoted, given up", "given up while waiting"])
    things += [a_registration(course) for course in draw(st.lists(courses, max_size=6))]
    rules = the_rules()
    amended = {**rules, "title": "Con adenda"}
    things.append(versions(2, (CallOpened, rules), (CallOpened, amended), (CallClosed, rules), (CallClosed, amended)))
    courses = st.sampled_from(["submitted", "withdrawn", "ineligible", "eligible", "eligible, withdrawn", "awarded"])
    return things + [an_application(rules["call_id"], course) for course in draw(st.lists(courses, max_size=8))]


@given(history=histories(), data=st.data())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
async def test_facts_shuffled_repeated_and_cut_into_any_batches_leave_what_they_leave_in_order(
    tx: Tx, history: list[list[Fact]], data: st.DataObject
) -> None:
    in_order = [fact for thing in history for fact in thing]
    again = data.draw(st.lists(st.sampled_from(in_order), max_size=10))
    delivered = data.draw(st.permutations(in_order + again))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(delivered)), max_size=5)) | {0, len(delivered)})
    batches = [delivered[start:end] for start, end in pairwise(cuts)]
    assert await kept(tx, batches) == await kept(tx, [[fact] for fact in in_order])


async def test_the_last_version_stands_as_it_was_said(tx: Tx) -> None:
    meeting, registration, rules = the_meeting(), the_registration(region=None, sector=None), the_rules()
    application = the_application(rules["call_id"])
    await hear(
        tx,
        [
            AidAwarded(**application, **AWARD, amount=Decimal("512.30"), version=3),
            ApplicationSubmitted(**application, version=1),
            CallClosed(**rules, version=3),
            CallOpened(**{**rules, "title": "Otro título"}, version=2),
            RegistrationCancelled(**registration, version=2),
            RegistrationConfirmed(**registration, version=1),
            MeetingPublished(**meeting, version=2),
        ],
    )
    found = await projections(tx)
    assert [row[1:3] for row in found["applications"]] == [(3, "awarded")]
    assert [str(row[-1]) for row in found["applications"]] == ["512.30"]
    assert [row[1:3] for row in found["calls"]] == [(3, "closed")]
    assert "Otro título" not in found["calls"][0][-1]
    assert [row[1:] for row in found["registrations"]] == [
        (2, "cancelled", registration["meeting_id"], registration["person_id"], None, None)
    ]
    assert [row[1:] for row in found["meetings"]] == [(2, "Cusco", "08", 120)]


async def test_facts_of_one_thing_may_come_without_those_of_the_thing_it_belongs_to(tx: Tx) -> None:
    await hear(tx, [ApplicationRuledEligible(**the_application(uuid7()), version=2)])
    await hear(tx, [RegistrationConfirmed(**the_registration(), version=1)])
    found = await projections(tx)
    assert {table: len(rows) for table, rows in found.items()} == {
        "meetings": 0,
        "registrations": 1,
        "calls": 0,
        "applications": 1,
    }
