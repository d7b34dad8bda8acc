"""What aid_calls answers, from a real database, and by which index it finds it among many."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from services.aid_calls import commands, queries, store
from shared.contracts.aid_calls import (
    Application,
    ApplicationAnswer,
    Call,
    CallAnswer,
    CallResults,
    CallResultsAnswer,
    CallState,
)
from shared.contracts.people import Role
from shared.db import Tx
from shared.identity import Actor
from shared.messaging import QuestionRefused
from tests.aid_calls.cast import (
    AFTER,
    NOW,
    TEAM,
    a_call,
    an_application,
    applied_to,
    by,
    closed_and_ruled,
    entered,
    participant,
    sent,
    withdrawal,
)
from tests.servers import Installation

OPERATOR = Actor(uuid7(), frozenset({Role.OPERATOR}))
EVALUATOR = Actor(uuid7(), frozenset({Role.EVALUATOR}))


async def test_a_call_is_told_to_everybody_by_its_code_with_all_its_rules(tx: Tx) -> None:
    command = a_call(required_documents=["cv"], meeting_id=str(uuid7()))
    await commands.create_call(tx, command, by(TEAM))
    state = CallState.model_validate(command.model_dump())
    drafted = await queries.call(tx, Call(code=command.code), None)
    await commands.open_and_close_calls(tx, NOW)
    opened = await queries.call(tx, Call(code=command.code), participant())
    assert drafted == CallAnswer(**dict(state), state="draft")
    assert opened == CallAnswer(**dict(state), state="open")


async def test_there_may_be_no_such_call(tx: Tx) -> None:
    with pytest.raises(QuestionRefused, match="no-such-call"):
        await queries.call(tx, Call(code="NO-SUCH"), TEAM)
    with pytest.raises(QuestionRefused, match="no-such-call"):
        await queries.call_results(tx, CallResults(call_id=uuid7()), TEAM)


async def test_an_application_is_told_to_its_applicant_and_to_the_team_only(tx: Tx) -> None:
    call_id, rosa = await entered(tx), participant()
    command = an_application(call_id, region="08")
    await commands.submit_applications(tx, [sent(command, rosa)])
    await closed_and_ruled(tx)
    question = Application(application_id=command.application_id)
    expected = ApplicationAnswer(
        application_id=command.application_id,
        call_id=call_id,
        person_id=rosa.person_id,
        region="08",
        sector=command.sector,
        requested=Decimal("900.00"),
        aid=Decimal("360.00"),
        accepted_at=NOW,
        state="ineligible",
        project=command.project,
        reasons=("resides-in-host-region",),
    )
    assert [await queries.application(tx, question, who) for who in (rosa, TEAM, OPERATOR)] == [expected] * 3
    for actor in (participant(), EVALUATOR, None):
        with pytest.raises(QuestionRefused, match="no-such-application"):
            await queries.application(tx, question, actor)
    with pytest.raises(QuestionRefused, match="no-such-application"):
        await queries.application(tx, Application(application_id=uuid7()), TEAM)


async def test_results_are_told_as_far_as_they_are_decided(tx: Tx) -> None:
    call_id, rosa = await entered(tx), participant()
    empty = {
        "state": "open",
        "applications": 0,
        "withdrawn": 0,
        "undecided": 0,
        "eligible": 0,
        "ineligible": {},
        "awarded": (),
        "reserve": (),
        "not_selected": (),
        "total_awarded": "0.00",
        "left": "3000.00",
    }

    async def told() -> CallResultsAnswer:
        return await queries.call_results(tx, CallResults(call_id=call_id), TEAM)

    assert await told() == CallResultsAnswer.model_validate(empty)
    _, bad = await applied_to(tx, call_id, {}, {"birth": "2010-01-01"})
    gone = an_application(call_id)
    await commands.submit_applications(tx, [sent(gone, rosa)])
    await commands.withdraw_application(tx, withdrawal(gone.application_id), by(rosa))
    submitted = {**empty, "applications": 3, "withdrawn": 1, "undecided": 2}
    assert await told() == CallResultsAnswer.model_validate(submitted)
    await closed_and_ruled(tx)
    ruled = {**submitted, "state": "closed", "undecided": 0, "eligible": 1}
    assert await told() == CallResultsAnswer.model_validate({**ruled, "ineligible": {bad.application_id: ["under-18"]}})


class Recorded:
    """A connection that keeps the statements that pass."""

    def __init__(self, connection: Tx) -> None:
        self._connection = connection
        self.statements: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        method = getattr(self._connection, name)

        async def passed(query: str, *arguments: Any) -> Any:
            self.statements.append((query, arguments))
            return await method(query, *arguments)

        return passed

    async def plans(self) -> list[str]:
        """Of each statement: the indexes and the tables that are read whole, in order of their names."""
        return [
            _told(await self._connection.fetchval(f"explain (format json) {sql}", *a)) for sql, a in self.statements
        ]


def _told(plan: str) -> str:
    def nodes(node: dict[str, Any]) -> list[str]:
        found = [one for part in node.get("Plans", ()) for one in nodes(part)]
        if index := node.get("Index Name"):
            found.append(index)
        elif node["Node Type"] == "Seq Scan":
            found.append(f"all of {node['Relation Name']}")
        return found

    return " ".join(sorted(set(nodes(json.loads(plan)[0]["Plan"]))))


CROWDED, CLOSING, CALLS, PER_CALL = 20_000, 2_000, 60, 3_000


@pytest.fixture(scope="module")
async def crowded(installation: Installation) -> AsyncIterator[tuple[Recorded, UUID, UUID]]:
    """200,000 applications: most of past calls, 20,000 of an open one, 8,000 of one just closed; nothing stays."""
    connection = await asyncpg.connect(
        installation.dsn("postgres"), user="postgres", password=installation.secrets.password("postgres")
    )
    transaction = connection.transaction()
    await transaction.start()
    past = [await entered(connection) for _ in range(CALLS)]
    crowd, closing = await entered(connection, closes_at=AFTER + timedelta(days=9)), await entered(connection)
    await connection.execute("update aid_calls.calls set state = 'results-published' where call_id = any($1)", past)
    await connection.execute("update aid_calls.calls set state = 'closed' where call_id = $1", closing)
    for calls, number, state in ((past, PER_CALL, "awarded"), ([crowd], CROWDED, "submitted")):
        await _many(connection, calls, number, state)
    for number, state in ((CLOSING, "submitted"), (3 * CLOSING, "eligible")):
        await _many(connection, [closing], number, state)
    await connection.execute("analyze aid_calls.applications")
    await connection.execute("analyze aid_calls.calls")
    yield Recorded(connection), crowd, closing
    await transaction.rollback()
    await connection.close()


async def _many(connection: Tx, calls: list[UUID], number: int, state: str) -> None:
    await connection.execute(
        """
        insert into aid_calls.applications
               (application_id, call_id, person_id, country, region, birth, sector, requested, aid,
                project, motivation, documents, accepted_at, state)
        select uuidv7(), call_id, uuidv4(), 'PE', '04', '1990-05-04', 'music', 900, 520, 'Festival', '', '[]', $2, $4
          from unnest($1::uuid[]) as call_id, generate_series(1, $3)
        """,
        calls,
        NOW,
        number,
        state,
    )


async def test_every_statement_finds_its_rows_by_an_index_among_200_000_applications(
    crowded: tuple[Recorded, UUID, UUID],
) -> None:
    tx, crowd, closing = crowded
    some = await tx.fetch("select application_id, person_id from aid_calls.applications limit 1")
    key, person_id = some[0]["application_id"], some[0]["person_id"]

    async def plans(asked: Coroutine[Any, Any, Any]) -> list[str]:
        tx.statements.clear()
        await asked
        return await tx.plans()

    by_id, one_per_person, undecided = "applications_pkey", "applications_one_per_person", "applications_undecided"
    connection: Any = tx
    assert await plans(queries.application(connection, Application(application_id=key), TEAM)) == [by_id]
    assert await plans(store.application_for_update(connection, application_id=key)) == [by_id]
    assert await plans(store.withdraw_application(connection, application_id=key)) == [by_id]
    assert await plans(store.applicants(connection, pairs={(crowd, person_id)})) == [one_per_person]
    # Every second, while a crowd waits for another call to close: few calls by the clock, then those undecided.
    found = await plans(store.undecided_applications(connection, limit=1000))
    assert found == [f"{undecided} calls_by_clock"]
    assert await plans(store.eligible_applications_for_update(connection, call_id=closing)) == [one_per_person]
    assert await plans(store.undecided_applications_of(connection, call_id=closing)) == [undecided]
    results = await plans(queries.call_results(connection, CallResults(call_id=closing), TEAM))
    assert results == [f"{one_per_person} applications_withdrawn calls_pkey"]
