"""What aid_calls can do: enter calls, take applications, open and close by the clock, rule, allocate the fund."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
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
from shared.contracts.wire import Problem
from shared.db import Tx
from shared.messaging import By, Decision, Sender, applied, refused, rejected

# How many applications are ruled on in one transaction; the clock comes back at once for more.
_RULED_AT_ONCE = 1000


async def create_call(tx: Tx, command: CreateCall, by: By) -> Decision:
    """Enter a call with its rules; it opens at `opens_at`, at once if that is over."""
    problems = list(domain.call_problems(command))
    if not by.actor.covers(command.host_region):
        problems.append(Problem(code="not-allowed", field="host_region", detail={"reason": "region"}))
    problems += [
        Problem(code="code-taken" if name == "code" else "id-taken", field=name)
        for name in await store.taken_call_fields(tx, call_id=command.call_id, code=command.code)
    ]
    if problems:
        return rejected(*problems)
    await store.insert_call(tx, call=command)
    return applied(call_id=command.call_id)


async def submit_applications(tx: Tx, senders: Sequence[Sender[SubmitApplication]]) -> Sequence[Decision]:
    """Accept what came in time, one per person and call; the time that the bus stored it decides, not ours."""
    calls = await store.calls_unallocated(tx, call_ids={sender.command.call_id for sender in senders})
    refusals = [_refusal(sender, calls.get(sender.command.call_id)) for sender in senders]
    acceptable = [
        (_application(sender, calls[sender.command.call_id]), sender.command)
        for sender, refusal in zip(senders, refusals, strict=True)
        if refusal is None
    ]
    entered = iter(await _enter(tx, acceptable))
    return [refusal or next(entered) for refusal in refusals]


def _refusal(sender: Sender[SubmitApplication], call: domain.Call | None) -> Decision | None:
    if call is None:
        return refused("no-such-call", field="call_id")
    problems = domain.application_problems(sender.command, call, stored_at=sender.by.stored_at)
    return rejected(*problems) if problems else None


def _application(sender: Sender[SubmitApplication], call: domain.Call) -> domain.Application:
    return domain.application(
        sender.command,
        person_id=sender.by.actor.person_id,
        accepted_at=sender.by.stored_at,
        rules=call.rules,
    )


async def _enter(tx: Tx, applications: Sequence[tuple[domain.Application, SubmitApplication]]) -> list[Decision]:
    """Enter what is acceptable, the earliest of each person and call; a decision for each, in order."""
    inserted = Counter(await store.insert_applications(tx, applications=applications))
    decisions: dict[int, Decision] = {}
    for place in sorted(range(len(applications)), key=lambda place: applications[place][0].accepted_at):
        application = applications[place][0]
        if inserted[application.key]:
            inserted[application.key] -= 1
            fact = ApplicationSubmitted(**application.public(), version=application.version)
            decisions[place] = applied(fact, application_id=application.application_id)
    left = [application for place, (application, _) in enumerate(applications) if place not in decisions]
    applicants = await store.applicants(tx, pairs={one.applicant for one in left}) if left else set()
    return [decisions.get(place) or _taken(one, applicants) for place, (one, _) in enumerate(applications)]


def _taken(application: domain.Application, applicants: Collection[tuple[UUID, UUID]]) -> Decision:
    if application.applicant in applicants:
        return refused("already-applied", field="call_id")
    return refused("id-taken", field="application_id")


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
    calls = await store.calls(tx, call_ids={one.call_id for one in undecided})
    return await _rule(tx, undecided, calls)


async def _rule(
    tx: Tx, undecided: Sequence[domain.Application], calls: Mapping[UUID, domain.Call]
) -> Sequence[domain.Ruling]:
    rulings = [domain.ruling(calls[one.call_id].rules, one) for one in undecided]
    if rulings:
        await store.note_rulings(tx, rulings=rulings)
    return rulings


async def allocate_fund(tx: Tx, ranking: RankingFinalised) -> Sequence[Fact]:
    """Award the fund of a call down its order of merit; nothing if that was done before.

    An application that was in time but carried out after the order of merit was made is ruled on, so that nobody
    waits for ever, and is not in the allocation: the results name it as unranked.
    """
    call = await store.call_for_update(tx, call_id=ranking.call_id)
    if call is None or call.state == "results-published":
        return []
    undecided = await store.undecided_applications_of(tx, call_id=call.call_id)
    rulings = await _rule(tx, undecided, {call.call_id: call})
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
    return [*rulings, *results, summary]
