"""Giving applications to evaluators and declaring conflicts, on a real database: states, facts, refusals."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from services.evaluation import commands
from shared.contracts.aid_calls import ApplicationSubmitted, ApplicationWithdrawn
from shared.contracts.evaluation import AssignEvaluator, ConflictDeclared, DeclareConflict, EvaluatorAssigned
from shared.db import Tx
from shared.identity import Actor
from shared.messaging import Decision
from tests.evaluation.cast import (
    FAIR,
    GOOD,
    POOR,
    a_closed_call,
    assigned,
    by,
    codes,
    evaluator,
    hear,
    organiser,
    panel_of,
    reviewed,
    the_application,
)


async def assignments(tx: Tx) -> list[tuple[Any, ...]]:
    """Every assignment: evaluator, application, state."""
    rows = await tx.fetch("select evaluator_id, application_id, state from evaluation.assignments order by 1, 2")
    return [tuple(row) for row in rows]


async def conflict(tx: Tx, member: Actor, application_id: UUID) -> Decision:
    """An evaluator declares a conflict of interest."""
    return await commands.declare_conflict(tx, DeclareConflict(application_id=application_id), by(member))


async def test_applications_given_to_an_evaluator_are_told_once_with_how_many_there_are_in_all(tx: Tx) -> None:
    call_id, (first, second, third) = await a_closed_call(tx, applications=3)
    member = evaluator()
    panel = {"call_id": call_id, "evaluator_id": member.person_id}
    assert await assigned(tx, call_id, member, second, first, second) == Decision(
        ids={}, facts=(EvaluatorAssigned(**panel, version=1, added=(second, first), assigned=2),)
    )
    assert await assigned(tx, call_id, member, first, third) == Decision(
        ids={}, facts=(EvaluatorAssigned(**panel, version=2, added=(third,), assigned=3),)
    )
    assert await assigned(tx, call_id, member, first, second, third) == Decision(ids={})
    assert await assignments(tx) == [(member.person_id, key, "assigned") for key in sorted((first, second, third))]


async def test_an_evaluator_in_two_calls_has_a_version_in_each(tx: Tx) -> None:
    calls = [await a_closed_call(tx) for _ in range(2)]
    member = evaluator()
    decisions = [await assigned(tx, call_id, member, *keys) for call_id, keys in calls]
    assert [fact.version for decision in decisions for fact in decision.facts] == [1, 1]


async def test_an_assignment_is_refused_as_a_whole_and_names_each_application_with_its_reason(tx: Tx) -> None:
    call_id, (full, free, own, declared) = await a_closed_call(tx, applications=4)
    _, (elsewhere,) = await a_closed_call(tx)
    submitted, withdrawn = the_application(call_id), the_application(call_id)
    await hear(tx, [ApplicationSubmitted(**submitted, version=1), ApplicationWithdrawn(**withdrawn, version=2)])
    await panel_of(tx, call_id, full, scores=[GOOD, FAIR])
    applicant = Actor(await tx.fetchval("select person_id from evaluation.applications where application_id = $1", own))
    assert (await assigned(tx, call_id, applicant, declared)).problems == ()
    await conflict(tx, applicant, declared)
    before = await assignments(tx)
    named = (uuid7(), full, free, elsewhere, own, submitted["application_id"], withdrawn["application_id"], declared)
    assert codes(await assigned(tx, call_id, applicant, *named)) == [
        ("no-such-application", "application_ids.0"),
        ("enough-reviewers", "application_ids.1"),
        ("no-such-application", "application_ids.3"),
        ("conflict-of-interest", "application_ids.4"),
        ("no-such-application", "application_ids.5"),
        ("no-such-application", "application_ids.6"),
        ("conflict-of-interest", "application_ids.7"),
    ]
    assert await assignments(tx) == before


async def test_a_call_that_nobody_has_heard_of_and_one_of_another_region_are_refused(tx: Tx) -> None:
    call_id, keys = await a_closed_call(tx)
    member = uuid7()
    unknown = AssignEvaluator(call_id=uuid7(), evaluator_id=member, application_ids=tuple(keys))
    assert codes(await commands.assign_evaluator(tx, unknown, by())) == [("no-such-call", "call_id")]
    command = AssignEvaluator(call_id=call_id, evaluator_id=member, application_ids=tuple(keys))
    assert codes(await commands.assign_evaluator(tx, command, by(organiser("15")))) == [("not-allowed", "call_id")]
    assert (await commands.assign_evaluator(tx, command, by(organiser("15", "08")))).problems == ()


async def test_one_more_evaluator_is_taken_when_the_reviews_diverge_and_no_more_than_one(tx: Tx) -> None:
    call_id, (agreed, diverging) = await a_closed_call(tx, applications=2)
    for given in (GOOD, FAIR):
        await panel_of(tx, call_id, agreed, scores=[given])
    await panel_of(tx, call_id, diverging, scores=[GOOD])
    second, third = evaluator(), evaluator()
    assert (await assigned(tx, call_id, second, diverging)).problems == ()
    assert codes(await assigned(tx, call_id, third, diverging)) == [("enough-reviewers", "application_ids.0")]
    await reviewed(tx, (second, diverging, POOR))
    assert codes(await assigned(tx, call_id, third, diverging, agreed)) == [("enough-reviewers", "application_ids.1")]
    assert (await assigned(tx, call_id, third, diverging)).problems == ()
    assert codes(await assigned(tx, call_id, evaluator(), diverging)) == [("enough-reviewers", "application_ids.0")]


async def test_an_application_needs_as_many_evaluators_as_its_call_says(tx: Tx) -> None:
    call_id, (key,) = await a_closed_call(tx, reviews_required=1)
    assert (await assigned(tx, call_id, evaluator(), key)).problems == ()
    assert codes(await assigned(tx, call_id, evaluator(), key)) == [("enough-reviewers", "application_ids.0")]


async def test_a_conflict_ends_the_assignment_and_makes_room_for_somebody_else(tx: Tx) -> None:
    call_id, (key, other) = await a_closed_call(tx, applications=2)
    one, two, three = evaluator(), evaluator(), evaluator()
    for member in (one, two):
        await assigned(tx, call_id, member, key)
    assert await conflict(tx, one, key) == Decision(
        ids={},
        facts=(ConflictDeclared(version=1, application_id=key, call_id=call_id, evaluator_id=one.person_id),),
    )
    assert await conflict(tx, one, key) == Decision(ids={})
    assert (await assigned(tx, call_id, three, key)).problems == ()
    assert codes(await assigned(tx, call_id, one, key)) == [("conflict-of-interest", "application_ids.0")]
    (told,) = (await assigned(tx, call_id, one, other)).facts
    assert isinstance(told, EvaluatorAssigned)
    assert (told.version, told.assigned) == (2, 1)


async def test_only_an_evaluator_who_has_not_reviewed_yet_can_declare_a_conflict(tx: Tx) -> None:
    call_id, (key,) = await a_closed_call(tx)
    (member,) = await panel_of(tx, call_id, key, scores=[GOOD])
    assert codes(await conflict(tx, evaluator(), key)) == [("not-assigned", "application_id")]
    assert codes(await conflict(tx, member, uuid7())) == [("not-assigned", "application_id")]
    assert codes(await conflict(tx, member, key)) == [("already-reviewed", "application_id")]
