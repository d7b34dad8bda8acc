"""What evaluation can do: give applications to evaluators, take conflicts and reviews, rank, keep rates and facts.

Whoever touches the panel of a call locks the call first, so that what is read afterwards stands until the commit.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal
from uuid import UUID

from services.evaluation import domain, scoring, store
from services.evaluation.domain import Call, Review, UnderReview
from shared.contracts import Fact
from shared.contracts.evaluation import (
    AssignEvaluator,
    ConflictDeclared,
    DeclareConflict,
    EvaluatorAssigned,
    FinaliseRanking,
    RankingFinalised,
    RecordExchangeRate,
    ReviewSubmitted,
    SubmitReview,
)
from shared.contracts.registration import MeetingPublished
from shared.contracts.wire import Problem
from shared.db import Tx
from shared.messaging import By, Decision, Sender, applied, refused, rejected


async def assign_evaluator(tx: Tx, command: AssignEvaluator, by: By) -> Decision:
    """Give applications to an evaluator, all or none; those they have already change nothing."""
    call = await _locked_call(tx, command.call_id)
    if call is None:
        return refused("no-such-call", field="call_id")
    if not by.actor.covers(call.rules.host_region):
        return refused("not-allowed", field="call_id", reason="region")
    if call.ranked:
        return refused("ranking-finalised", field="call_id")
    applications = await store.under_review(
        tx, application_ids=set(command.application_ids), calls={call.call_id: call}
    )
    problems = _assignment_problems(command, applications)
    if problems:
        return rejected(*problems)
    return await _assign(
        tx,
        call_id=call.call_id,
        evaluator_id=command.evaluator_id,
        added=tuple(
            key
            for key in dict.fromkeys(command.application_ids)
            if command.evaluator_id not in applications[key].evaluators
        ),
    )


def _assignment_problems(command: AssignEvaluator, applications: Mapping[UUID, UnderReview]) -> list[Problem]:
    codes = [
        domain.assignment_problem(applications.get(key), evaluator_id=command.evaluator_id)
        for key in command.application_ids
    ]
    return [Problem(code=code, field=f"application_ids.{place}") for place, code in enumerate(codes) if code]


async def _assign(tx: Tx, *, call_id: UUID, evaluator_id: UUID, added: tuple[UUID, ...]) -> Decision:
    if not added:
        return applied()
    version, had = await store.add_to_panel(tx, call_id=call_id, evaluator_id=evaluator_id)
    await store.insert_assignments(tx, call_id=call_id, evaluator_id=evaluator_id, application_ids=added)
    return applied(
        EvaluatorAssigned(
            version=version,
            evaluator_id=evaluator_id,
            call_id=call_id,
            added=added,
            assigned=had + len(added),
        )
    )


async def declare_conflict(tx: Tx, command: DeclareConflict, by: By) -> Decision:
    """End one's own assignment of an application that one may not review."""
    evaluator_id = by.actor.person_id
    application = (await _locked(tx, {command.application_id})).get(command.application_id)
    problem = domain.conflict_problem(application, evaluator_id=evaluator_id)
    if problem or application is None:
        return refused(problem or "not-assigned", field="application_id")
    if application.evaluators[evaluator_id] == "conflict":
        return applied()
    version = application.version + 1
    await store.end_assignments(tx, state="conflict", ended=[(command.application_id, evaluator_id)])
    await store.note_versions(tx, versions={command.application_id: version})
    return applied(
        ConflictDeclared(
            version=version,
            application_id=command.application_id,
            call_id=application.call.call_id,
            evaluator_id=evaluator_id,
        )
    )


async def submit_reviews(tx: Tx, senders: Sequence[Sender[SubmitReview]]) -> Sequence[Decision]:
    """Take the reviews of a jury in the order they came; each sees what those before it have changed."""
    applications = await _locked(tx, {sender.command.application_id for sender in senders})
    decisions: list[Decision] = []
    taken: list[Review] = []
    for sender in senders:
        key, evaluator_id = sender.command.application_id, sender.by.actor.person_id
        application = applications.get(key)
        problems = domain.review_problems(application, sender.command, evaluator_id=evaluator_id)
        if application is None or problems:
            repeated = domain.repeats(application, sender.command, evaluator_id=evaluator_id)
            decisions.append(applied() if repeated else rejected(*problems))
            continue
        review = domain.review(sender.command, application, evaluator_id=evaluator_id, submitted_at=sender.by.stored_at)
        applications[key] = application.reviewed(review)
        decisions.append(applied(_review_submitted(applications[key], evaluator_id)))
        taken.append(review)
    await _keep_reviews(tx, taken, applications)
    return decisions


def _review_submitted(application: UnderReview, evaluator_id: UUID) -> ReviewSubmitted:
    return ReviewSubmitted(
        version=application.version,
        application_id=application.application_id,
        call_id=application.call.call_id,
        evaluator_id=evaluator_id,
        reviews=len(application.reviews),
        third_needed=application.third_needed,
    )


async def _keep_reviews(tx: Tx, taken: Sequence[Review], applications: Mapping[UUID, UnderReview]) -> None:
    if not taken:
        return
    ended = [(review.application_id, review.evaluator_id) for review in taken]
    await store.insert_reviews(tx, reviews=taken)
    await store.end_assignments(tx, state="reviewed", ended=ended)
    await store.note_versions(tx, versions={key: applications[key].version for key, _ in ended})


async def finalise_ranking(tx: Tx, command: FinaliseRanking, by: By) -> Decision:
    """Make the order of merit of a closed call whose applications have all their reviews; once."""
    call = await _locked_call(tx, command.call_id)
    if call is None:
        return refused("no-such-call", field="call_id")
    if not by.actor.covers(call.rules.host_region):
        return refused("not-allowed", field="call_id", reason="region")
    if call.ranked:
        return refused("already-finalised", field="call_id")
    eligible = await store.eligible_applications(tx, call=call)
    undecided = await store.count_undecided_applications(tx, call_id=call.call_id)
    problems = domain.ranking_problems(call, undecided=undecided, eligible=eligible)
    if problems:
        return rejected(*problems)
    ranking = scoring.ranking(eligible, rules=call.rules)
    await store.insert_ranking(
        tx,
        call_id=call.call_id,
        ranking=ranking,
        third_reviews=[application.application_id for application in eligible if application.had_a_third],
        finalised_at=by.stored_at,
    )
    return applied(RankingFinalised(version=1, call_id=call.call_id, ranking=tuple(ranking)))


async def record_exchange_rate(tx: Tx, command: RecordExchangeRate, by: By) -> Decision:
    """Keep a day's rate; the same again changes nothing, another one of that day and source is refused."""
    problem = domain.rate_problem(command.pen_per_usd)
    if problem:
        return rejected(problem)
    if await store.insert_exchange_rate(tx, rate=command, recorded_at=by.stored_at):
        return applied()
    known = await store.exchange_rate(tx, day=command.date, source=command.source)
    return applied() if known == command.pen_per_usd else refused("rate-already-recorded", field="pen_per_usd")


async def note_meetings(tx: Tx, facts: Sequence[MeetingPublished]) -> Sequence[Fact]:
    """Keep what registration says of meetings."""
    await store.keep_meetings(tx, facts=facts)
    return ()


async def note_registrations(
    tx: Tx, facts: Sequence[store.AboutRegistration], *, state: Literal["confirmed", "cancelled"]
) -> Sequence[Fact]:
    """Keep what registration says of registrations."""
    await store.keep_registrations(tx, facts=facts, state=state)
    return ()


async def note_calls(tx: Tx, facts: Sequence[store.AboutCall], *, state: Literal["open", "closed"]) -> Sequence[Fact]:
    """Keep what aid_calls says of calls."""
    await store.keep_calls(tx, facts=facts, state=state)
    return ()


async def note_applications(
    tx: Tx, facts: Sequence[store.AboutApplication], *, state: domain.ApplicationPhase
) -> Sequence[Fact]:
    """Keep what aid_calls says of applications."""
    await store.keep_applications(tx, facts=facts, state=state)
    return ()


async def _locked_call(tx: Tx, call_id: UUID) -> Call | None:
    await store.lock_call(tx, call_id=call_id)
    return (await store.calls(tx, call_ids={call_id})).get(call_id)


async def _locked(tx: Tx, application_ids: Collection[UUID]) -> dict[UUID, UnderReview]:
    """Applications by id, their calls locked; those whose call we have not heard of are missing."""
    call_ids = await store.lock_calls_of(tx, application_ids=application_ids)
    calls = await store.calls(tx, call_ids=call_ids)
    return await store.under_review(tx, application_ids=application_ids, calls=calls)
