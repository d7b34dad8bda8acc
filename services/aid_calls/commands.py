"""What aid_calls can do: enter calls, take applications, open and close by the clock, rule, allocate the fund."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.aid_calls import domain, store
from services.aid_calls.allocation import Candidate, allocate
from shared.contracts import Fact
from shared.contracts.aid_calls import (
    ApplicationSubmitted,
    ApplicationWithdrawn,
    CallClosed,
    CallOpened,
    CallResultsPublished,
    CreateCall,
    SubmitApplication,
    WithdrawApplication,
)
from shared.contracts.evaluation import RankingFinalised
from shared.db import Tx
from shared.messaging import By, Decision, Sender, applied, refused, rejected

# How many applications are ruled on in one transaction; the clock comes back at once for more.
_RULED_AT_ONCE = 1000


async def create_call(tx: Tx, command: CreateCall, by: By) -> Decision:
    """Enter a call with its rules; it opens at `opens_at`, at once if that is over."""
    if not by.actor.covers(command.host_region):
        return refused("not-allowed", field="host_region", reason="region")
    problems = domain.call_problems(command)
    if problems:
        return rejected(*problems)
    if not await store.insert_call(tx, call=command):
        return refused("code-taken", field="code")
    return applied(call_id=command.call_id)


async def submit_applications(tx: Tx, senders: Sequence[Sender[SubmitApplication]]) -> Sequence[Decision]:
    """Accept what came in time, one per person and call; the time that the bus stored it decides, not ours."""
    calls = await store.calls(tx, call_ids={sender.command.call_id for sender in senders})
    refusals = [_refusal(calls.get(sender.command.call_id), sender.by) for sender in senders]
    timely = [
        (_application(sender, calls[sender.command.call_id]), sender.command)
        for sender, refusal in zip(senders, refusals, strict=True)
        if refusal is None
    ]
    inserted = Counter(await store.insert_applications(tx, applications=timely))
    decisions = iter([_accepted(application, inserted) for application, _ in timely])
    return [refusal or next(decisions) for refusal in refusals]


def _refusal(call: domain.Call | None, by: By) -> Decision | None:
    if call is None:
        return refused("no-such-call", field="call_id")
    if call.state == "results-published":
        return refused("results-published", field="call_id")
    problem = domain.untimely(call.rules, stored_at=by.stored_at)
    return rejected(problem) if problem else None


def _application(sender: Sender[SubmitApplication], call: domain.Call) -> domain.Application:
    return domain.application(
        sender.command,
        person_id=sender.by.actor.person_id,
        accepted_at=sender.by.stored_at,
        rules=call.rules,
    )


def _accepted(application: domain.Application, inserted: Counter[UUID]) -> Decision:
    """Applied once for the id that was inserted; a repetition in the same batch finds it taken."""
    if not inserted[application.application_id]:
        return refused("already-applied", field="call_id")
    inserted[application.application_id] -= 1
    fact = ApplicationSubmitted(**application.public(), version=application.version)
    return applied(fact, application_id=application.application_id)


async def withdraw_application(tx: Tx, command: WithdrawApplication, by: By) -> Decision:
    """Withdraw one's own application, at any time before the award."""
    application = await store.application_for_update(tx, application_id=command.application_id)
    if application is None or application.person_id != by.actor.person_id:
        return refused("no-such-application", field="application_id")
    if application.state == "withdrawn":
        return applied(application_id=application.application_id)
    if application.state not in domain.UNAWARDED:
        return refused("already-decided", field="application_id")
    await store.withdraw_application(tx, application_id=application.application_id)
    fact = ApplicationWithdrawn(**application.public(), version=application.version + 1)
    return applied(fact, application_id=application.application_id)


async def open_and_close_calls(tx: Tx, now: datetime) -> Sequence[Fact]:
    """Open the calls whose time has come and close those whose time is over: by the clock, by nobody."""
    opened = await store.open_due_calls(tx, now=now)
    closed = await store.close_due_calls(tx, now=now)
    return [
        *(CallOpened(**call.public(), version=call.version) for call in opened),
        *(CallClosed(**call.public(), version=call.version) for call in closed),
    ]


async def rule_on_applications(tx: Tx, _now: datetime) -> Sequence[Fact]:
    """Rule on applications to closed calls, also those that were in time but carried out after the closing."""
    undecided = await store.undecided_applications(tx, limit=_RULED_AT_ONCE)
    if not undecided:
        return []
    calls = await store.calls(tx, call_ids={one.call_id for one in undecided})
    rulings = [domain.ruling(calls[one.call_id].rules, one) for one in undecided]
    await store.note_rulings(tx, rulings=rulings)
    return rulings


async def allocate_fund(tx: Tx, ranking: RankingFinalised) -> Sequence[Fact]:
    """Award the fund of a call down its order of merit; nothing if that was done before."""
    call = await store.call_for_update(tx, call_id=ranking.call_id)
    if call is None or call.state == "results-published":
        return []
    eligible = await store.eligible_applications_for_update(tx, call_id=call.call_id)
    places = {place.application_id: place for place in ranking.ranking if place.application_id in eligible}
    allocation = allocate(
        fund=call.rules.fund,
        reserved_share_percent=call.rules.reserved_share_percent,
        reserved_excluding_regions=call.rules.reserved_excluding_regions,
        minimum_total=call.rules.minimum_total,
        ranked=[
            Candidate(
                application_id=key,
                rank=place.rank,
                total=place.total,
                region=eligible[key].region,
                aid=eligible[key].aid,
            )
            for key, place in places.items()
        ],
    )
    results = domain.results(allocation, applications=eligible, places=places, currency=call.rules.currency)
    await store.note_results(tx, results=results)
    await store.publish_results(tx, call_id=call.call_id, total_awarded=allocation.total)
    summary = CallResultsPublished(
        version=call.version + 1,
        call_id=call.call_id,
        code=call.rules.code,
        currency=call.rules.currency,
        awards=len(allocation.awards),
        reserve=len(allocation.reserve),
        not_selected=len(allocation.not_selected),
        total_awarded=allocation.total,
        left=allocation.left,
    )
    return [*results, summary]
