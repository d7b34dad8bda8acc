"""What aid_calls can tell: a call, an application, the results of a call."""

from __future__ import annotations

import json
from typing import Any

from shared.contracts.aid_calls import (
    Application,
    ApplicationAnswer,
    Award,
    Call,
    CallAnswer,
    CallResults,
    CallResultsAnswer,
)
from shared.contracts.people import Role
from shared.db import Tx
from shared.identity import Actor
from shared.messaging import QuestionRefused


async def call(tx: Tx, question: Call, _actor: Actor | None) -> CallAnswer:
    """A call by its code."""
    row = await tx.fetchrow("select call_id, state, rules from aid_calls.calls where code = $1", question.code)
    if row is None:
        raise QuestionRefused("no-such-call")
    return CallAnswer(call_id=row["call_id"], state=row["state"], **json.loads(row["rules"]))


async def application(tx: Tx, question: Application, actor: Actor | None) -> ApplicationAnswer:
    """An application, to its applicant and to the team."""
    row = await tx.fetchrow(
        """
        select application_id, call_id, person_id, region, sector, requested, aid, accepted_at,
               state, project, reasons
          from aid_calls.applications where application_id = $1
        """,
        question.application_id,
    )
    team = actor is not None and actor.is_one_of({Role.ORGANISER, Role.OPERATOR})
    if row is None or not (team or (actor is not None and actor.person_id == row["person_id"])):
        raise QuestionRefused("no-such-application")
    return ApplicationAnswer(**row)


async def call_results(tx: Tx, question: CallResults, _actor: Actor | None) -> CallResultsAnswer:
    """Everything decided so far about the applications to a call."""
    found = await tx.fetchrow(
        "select state, fund, total_awarded from aid_calls.calls where call_id = $1", question.call_id
    )
    if found is None:
        raise QuestionRefused("no-such-call")
    rows = await tx.fetch(
        """
        select application_id, state, reasons, rank, amount, money, reserve_position
          from aid_calls.applications where call_id = $1
         order by rank nulls last, application_id
        """,
        question.call_id,
    )
    return _results(found, rows)


def _results(call: Any, rows: list[Any]) -> CallResultsAnswer:
    def of(state: str) -> list[Any]:
        return [row for row in rows if row["state"] == state]

    withdrawn, undecided, ineligible = of("withdrawn"), of("submitted"), of("ineligible")
    return CallResultsAnswer(
        state=call["state"],
        applications=len(rows),
        withdrawn=len(withdrawn),
        undecided=len(undecided),
        eligible=len(rows) - len(withdrawn) - len(undecided) - len(ineligible),
        ineligible={row["application_id"]: tuple(row["reasons"]) for row in ineligible},
        awarded=tuple(
            Award(application_id=row["application_id"], rank=row["rank"], amount=row["amount"], money=row["money"])
            for row in of("awarded")
        ),
        reserve=tuple(row["application_id"] for row in sorted(of("reserve"), key=lambda row: row["reserve_position"])),
        not_selected=tuple(row["application_id"] for row in of("not-selected")),
        total_awarded=call["total_awarded"],
        left=call["fund"] - call["total_awarded"],
    )
