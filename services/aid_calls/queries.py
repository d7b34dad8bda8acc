"""What aid_calls can tell: a call, an application, the results of a call."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any
from uuid import UUID

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
    """Everything decided so far about the applications to a call, as of one moment."""
    rows = await tx.fetch(
        """
        select c.state as call_state, c.fund, c.total_awarded,
               (select count(*) from aid_calls.applications w
                 where w.call_id = c.call_id and w.state = 'withdrawn') as withdrawn,
               a.application_id, a.state, a.reasons, a.rank, a.amount, a.money
          from aid_calls.calls c
          left join aid_calls.applications a on a.call_id = c.call_id and a.state <> 'withdrawn'
         where c.call_id = $1
         order by a.rank nulls last, a.application_id
        """,
        question.call_id,
    )
    if not rows:
        raise QuestionRefused("no-such-call")
    return _results(rows[0], [row for row in rows if row["application_id"] is not None])


def _results(call: Any, rows: list[Any]) -> CallResultsAnswer:
    by_state: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        by_state[row["state"]].append(row)

    def ids(state: str) -> tuple[UUID, ...]:
        return tuple(row["application_id"] for row in by_state[state])

    return CallResultsAnswer(
        state=call["call_state"],
        applications=len(rows) + call["withdrawn"],
        withdrawn=call["withdrawn"],
        undecided=len(by_state["submitted"]),
        eligible=sum(len(by_state[state]) for state in ("eligible", "awarded", "reserve", "not-selected")),
        ineligible={row["application_id"]: tuple(row["reasons"]) for row in by_state["ineligible"]},
        awarded=tuple(
            Award(application_id=row["application_id"], rank=row["rank"], amount=row["amount"], money=row["money"])
            for row in by_state["awarded"]
        ),
        reserve=ids("reserve"),
        not_selected=ids("not-selected"),
        unranked=ids("eligible") if call["call_state"] == "results-published" else (),
        total_awarded=call["total_awarded"],
        left=call["fund"] - call["total_awarded"],
    )
