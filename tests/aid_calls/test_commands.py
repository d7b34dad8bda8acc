"""Entering calls, applying, withdrawing, on a real database: states, facts, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from services.aid_calls import commands
from shared.contracts.aid_calls import ApplicationState, ApplicationSubmitted, ApplicationWithdrawn, SubmitApplication
from shared.contracts.wire import Problem
from shared.db import Tx
from shared.messaging import Decision
from tests.aid_calls.cast import (
    AFTER,
    CLOSES_AT,
    NOW,
    OPENS_AT,
    TEAM,
    a_call,
    a_ranking,
    an_application,
    applied_to,
    by,
    call_state,
    closed_and_ruled,
    codes,
    entered,
    heard,
    organiser,
    participant,
    sent,
    states,
    withdrawal,
)

MICROSECOND = timedelta(microseconds=1)


def submitted(command: SubmitApplication, person_id: Any, *, aid: str, accepted_at: Any = NOW) -> ApplicationSubmitted:
    """The fact that an application is accepted."""
    state = {key: value for key, value in dict(command).items() if key in ApplicationState.model_fields}
    return ApplicationSubmitted(**state, person_id=person_id, aid=Decimal(aid), accepted_at=accepted_at, version=1)


async def test_a_call_is_entered_as_a_draft_which_is_no_fact_yet(tx: Tx) -> None:
    command = a_call()
    decision = await commands.create_call(tx, command, by(TEAM))
    assert decision == Decision(ids={"call_id": str(command.call_id)})
    assert await call_state(tx, command.call_id) == ("draft", 1, 0)


@pytest.mark.parametrize(
    ("regions", "problems"),
    [((), []), (("08",), []), (("15", "08"), []), (("15",), [("not-allowed", "host_region")])],
)
async def test_an_organiser_enters_calls_of_their_own_regions(tx: Tx, regions: tuple[str, ...], problems: Any) -> None:
    assert codes(await commands.create_call(tx, a_call(), by(organiser(*regions)))) == problems
    assert await tx.fetchval("select count(*) from aid_calls.calls") == (0 if problems else 1)


async def test_everything_that_is_wrong_with_a_call_is_told_at_once_and_nothing_is_kept(tx: Tx) -> None:
    first, other = a_call(), a_call()
    for command in (first, other):
        await commands.create_call(tx, command, by(TEAM))
    wrong = a_call(code=other.code, closes_at=OPENS_AT, fares={}).model_copy(update={"call_id": first.call_id})
    assert codes(await commands.create_call(tx, wrong, by(organiser("15")))) == [
        ("closes-before-opening", "closes_at"),
        ("required", "fares"),
        ("not-allowed", "host_region"),
        ("id-taken", "call_id"),
        ("code-taken", "code"),
    ]
    assert await tx.fetchval("select count(*) from aid_calls.calls") == 2


async def test_an_application_is_accepted_at_the_instant_at_which_the_bus_stored_it(tx: Tx) -> None:
    call_id, command, actor = await entered(tx), an_application(uuid7()), participant()
    command = command.model_copy(update={"call_id": call_id})
    (decision,) = await commands.submit_applications(tx, [sent(command, actor, CLOSES_AT)])
    assert decision == Decision(
        ids={"application_id": str(command.application_id)},
        facts=(submitted(command, actor.person_id, aid="520.00", accepted_at=CLOSES_AT),),
    )
    row = await tx.fetchrow("select * from aid_calls.applications")
    assert row is not None
    assert (row["state"], row["version"], row["accepted_at"], row["aid"]) == (
        "submitted",
        1,
        CLOSES_AT,
        Decimal("520.00"),
    )
    assert (row["project"], row["motivation"], row["country"]) == (command.project, command.motivation, "PE")


async def test_what_cannot_be_accepted_says_why_and_does_not_disturb_the_rest_of_the_batch(tx: Tx) -> None:
    call_id = await entered(tx)
    good, nowhere = an_application(call_id), an_application(call_id, region=None)
    decisions = await commands.submit_applications(
        tx,
        [
            sent(an_application(uuid7()), participant()),
            sent(an_application(call_id), participant(), OPENS_AT - MICROSECOND),
            sent(good, participant(), OPENS_AT),
            sent(nowhere, participant(), CLOSES_AT + MICROSECOND),
            sent(an_application(call_id, region=None, country="BO"), participant()),
        ],
    )
    assert [codes(decision) for decision in decisions] == [
        [("no-such-call", "call_id")],
        [("call-not-open", None)],
        [],
        [("required", "region"), ("late", None)],
        [],
    ]
    assert decisions[3].problems[1] == Problem(code="late", detail={"closes_at": CLOSES_AT.isoformat()})
    assert [len(decision.facts) for decision in decisions] == [0, 0, 1, 0, 1]
    assert len(await states(tx, call_id)) == 2


async def test_before_the_clock_has_opened_or_after_it_has_closed_a_call_the_bus_time_alone_decides(tx: Tx) -> None:
    command = a_call()
    await commands.create_call(tx, command, by(TEAM))
    early = await commands.submit_applications(tx, [sent(an_application(command.call_id), participant(), OPENS_AT)])
    await commands.open_and_close_calls(tx, AFTER)
    assert (await call_state(tx, command.call_id))[0] == "closed"
    slow = await commands.submit_applications(tx, [sent(an_application(command.call_id), participant(), CLOSES_AT)])
    assert [codes(decision) for decision in (*early, *slow)] == [[], []]


async def test_a_person_applies_once_to_a_call_whoever_comes_first_in_a_batch_or_later(tx: Tx) -> None:
    call_id, other_call, rosa = await entered(tx), await entered(tx), participant()
    first, second, third = (an_application(call_id) for _ in range(3))
    elsewhere = an_application(other_call)
    decisions = await commands.submit_applications(tx, [sent(one, rosa) for one in (first, second, elsewhere)])
    decisions = [*decisions, *await commands.submit_applications(tx, [sent(third, rosa)])]
    assert [codes(decision) for decision in decisions] == [
        [],
        [("already-applied", "call_id")],
        [],
        [("already-applied", "call_id")],
    ]
    assert list(await states(tx, call_id)) == [first.application_id]
    assert list(await states(tx, other_call)) == [elsewhere.application_id]


async def test_of_two_in_a_batch_the_one_that_the_bus_stored_first_counts_even_if_it_comes_second(tx: Tx) -> None:
    call_id, rosa = await entered(tx), participant()
    late, early = an_application(call_id), an_application(call_id)
    senders = [sent(late, rosa, NOW + MICROSECOND), sent(early, rosa, NOW)]
    decisions = await commands.submit_applications(tx, senders)
    assert [codes(decision) for decision in decisions] == [[("already-applied", "call_id")], []]
    assert list(await states(tx, call_id)) == [early.application_id]


async def test_the_same_application_sent_twice_in_a_batch_is_accepted_once_at_its_first_time(tx: Tx) -> None:
    call_id, rosa = await entered(tx), participant()
    command = an_application(call_id)
    decisions = await commands.submit_applications(
        tx, [sent(command, rosa, NOW + MICROSECOND), sent(command, rosa, NOW)]
    )
    assert [codes(decision) for decision in decisions] == [[("already-applied", "call_id")], []]
    assert decisions[1].facts == (submitted(command, rosa.person_id, aid="520.00"),)
    assert await tx.fetchval("select accepted_at from aid_calls.applications") == NOW


async def test_an_application_id_is_nobody_elses_and_not_one_of_before(tx: Tx) -> None:
    call_id, rosa, juan = await entered(tx), participant(), participant()
    command = an_application(call_id)
    decisions = await commands.submit_applications(tx, [sent(command, rosa), sent(command, juan)])
    assert sorted(map(codes, decisions)) == [[], [("id-taken", "application_id")]]
    (owner,) = [actor for actor, decision in zip((rosa, juan), decisions, strict=True) if decision.facts]
    (again,) = await commands.submit_applications(tx, [sent(command, participant())])
    assert codes(again) == [("id-taken", "application_id")]
    await commands.withdraw_application(tx, withdrawal(command.application_id), by(owner))
    (same,) = await commands.submit_applications(tx, [sent(command, owner)])
    assert codes(same) == [("id-taken", "application_id")]


async def test_who_withdrew_may_apply_again(tx: Tx) -> None:
    call_id, rosa = await entered(tx), participant()
    first, again, third = (an_application(call_id) for _ in range(3))
    await commands.submit_applications(tx, [sent(first, rosa)])
    await commands.withdraw_application(tx, withdrawal(first.application_id), by(rosa))
    accepted, refused = await commands.submit_applications(tx, [sent(again, rosa), sent(third, rosa)])
    assert [codes(accepted), codes(refused)] == [[], [("already-applied", "call_id")]]
    assert await states(tx, call_id) == {
        first.application_id: ("withdrawn", 2),
        again.application_id: ("submitted", 1),
    }


async def test_withdrawing_is_told_once(tx: Tx) -> None:
    call_id, rosa = await entered(tx), participant()
    command = an_application(call_id)
    await commands.submit_applications(tx, [sent(command, rosa)])
    decision = await commands.withdraw_application(tx, withdrawal(command.application_id), by(rosa))
    ids = {"application_id": str(command.application_id)}
    state = submitted(command, rosa.person_id, aid="520.00").model_dump(exclude={"version"})
    assert decision == Decision(ids=ids, facts=(ApplicationWithdrawn(**state, version=2),))
    assert await commands.withdraw_application(tx, withdrawal(command.application_id), by(rosa)) == Decision(ids=ids)
    assert await states(tx, call_id) == {command.application_id: ("withdrawn", 2)}


async def test_nobody_withdraws_what_is_not_theirs_or_is_not_there(tx: Tx) -> None:
    call_id = await entered(tx)
    (command,) = await applied_to(tx, call_id, {})
    for actor, key in ((participant(), command.application_id), (TEAM, command.application_id), (TEAM, uuid7())):
        decision = await commands.withdraw_application(tx, withdrawal(key), by(actor))
        assert codes(decision) == [("no-such-application", "application_id")]
    assert await states(tx, call_id) == {command.application_id: ("submitted", 1)}


async def test_an_application_may_be_withdrawn_until_the_award_and_not_after(tx: Tx) -> None:
    call_id = await entered(tx, fund="600.00", reserved_share_percent=0)
    people = [participant() for _ in range(5)]
    changes: list[dict[str, Any]] = [{}, {}, {}, {}, {"region": "08"}]
    applications = [an_application(call_id, **one) for one in changes]
    await commands.submit_applications(tx, [sent(*pair) for pair in zip(applications, people, strict=True)])
    await closed_and_ruled(tx)
    keys = [one.application_id for one in applications]
    before = await commands.withdraw_application(tx, withdrawal(keys[3]), by(people[3]))
    ineligible = await commands.withdraw_application(tx, withdrawal(keys[4]), by(people[4]))
    await heard(tx, a_ranking(call_id, *zip(keys[:3], ("90", "80", "50"), strict=True)))
    after = [
        await commands.withdraw_application(tx, withdrawal(key), by(person))
        for key, person in zip(keys[:3], people[:3], strict=True)
    ]
    assert [codes(one) for one in (before, ineligible)] == [[], []]
    assert [codes(one) for one in after] == [[("already-decided", "application_id")]] * 3
    assert [fact.version for one in (before, ineligible) for fact in one.facts] == [3, 3]
    assert await states(tx, call_id) == dict(
        zip(
            keys, [("awarded", 3), ("reserve", 3), ("not-selected", 3), ("withdrawn", 3), ("withdrawn", 3)], strict=True
        )
    )
