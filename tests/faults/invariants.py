"""What must hold after every fault, checked from outside: each function gives what is wrong."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from uuid import UUID

from shared import receipts
from shared.contracts.wire import HEADER_ID
from tests.faults.ground import Ground
from tests.faults.rebuild import differences
from tests.faults.seen import Seen, look

AID, REGISTRATION, EVALUATION = "pe.conecta.aid_calls.", "pe.conecta.registration.", "pe.conecta.evaluation."


async def violations(ground: Ground, *, shuffled: bool = False) -> list[str]:
    """Everything that is wrong."""
    seen = await look(ground)
    found = [
        *_receipts(ground, seen),
        *_decided(seen),
        *_state_and_facts(seen),
        *_state_rows(seen),
        *_journals(seen, reordered=ground.reordered),
        *_limits(seen),
        *_mails(ground, seen),
    ]
    if seen.parked != ground.parked:
        found.append(f"{seen.parked} parked, expected {ground.parked}")
    if seen.unpublished:
        found.append(f"{seen.unpublished} not published")
    return [*found, *await differences(ground, [*seen.people, *seen.events], shuffled=shuffled)]


def _receipts(ground: Ground, seen: Seen) -> Iterator[str]:
    """Every receipt is true, and has exactly one outcome: the one that its client was told."""
    stored = {one.sequence: one for one in seen.commands}
    for accepted in ground.senders.receipts:
        claimed = receipts.verify(accepted.signed, ground.stack.secrets.receipts_keys_file)
        message = stored.get(claimed.sequence)
        key = claimed.command_id
        if message is None or message.headers.get(HEADER_ID) != str(key):
            yield f"receipt {key}: {claimed.type} is not at {claimed.sequence}"
            continue
        if receipts.digest(accepted.command) != claimed.sha256 or accepted.command not in message.data:
            yield f"receipt {key}: another command"
        holders = [schema for schema, outcomes in seen.outcomes.items() if key in outcomes]
        if len(holders) != 1:
            yield f"receipt {key}: {claimed.type} has outcomes in {holders}"
        elif key in ground.senders.outcomes:
            outcome, told = seen.outcomes[holders[0]][key], ground.senders.outcomes[key]
            if json.loads(told.model_dump_json()) != outcome:
                yield f"receipt {key}: told {told}, kept {outcome}"
            if told.stored_at != claimed.stored_at:
                yield f"receipt {key}: stored {claimed.stored_at}, decided as of {told.stored_at}"


def _decided(seen: Seen) -> Iterator[str]:
    """What the bus has accepted is decided, and nothing else is."""
    accepted = {UUID(one.headers[HEADER_ID]) for one in seen.commands}
    decided = {key for outcomes in seen.outcomes.values() for key in outcomes}
    if accepted != decided:
        yield f"{len(accepted - decided)} commands without outcome, {len(decided - accepted)} outcomes without command"
    for key, number in Counter(one.headers[HEADER_ID] for one in seen.commands).items():
        if number > 1:
            yield f"command {key} is stored {number} times"


# Facts that an applied command has led to, at least and at most; by the end of its type.
_LED_TO: dict[str, dict[str, tuple[int, int]]] = {
    "create-meeting.v1": {"meeting-created.v1": (1, 1)},
    "publish-meeting.v1": {"meeting-published.v1": (0, 1)},
    "register-participant.v1": {"registration-confirmed.v1": (0, 1), "registration-waitlisted.v1": (0, 1)},
    "cancel-registration.v1": {"registration-cancelled.v1": (0, 1), "registration-promoted.v1": (0, 1)},
    "submit-application.v1": {"application-submitted.v1": (1, 1)},
    "withdraw-application.v1": {"application-withdrawn.v1": (0, 1)},
    "assign-evaluator.v1": {"evaluator-assigned.v1": (0, 1)},
    "declare-conflict.v1": {"conflict-declared.v1": (0, 1)},
    "submit-review.v1": {"review-submitted.v1": (0, 1)},
    "finalise-ranking.v1": {"ranking-finalised.v1": (1, 1)},
}


def _state_and_facts(seen: Seen) -> Iterator[str]:
    """Every applied command has its facts, once; a rejected one has none."""
    for schema, outcomes in seen.outcomes.items():
        caused: dict[UUID, Counter[str]] = defaultdict(Counter)
        for row in seen.journals[schema]:
            if row["body"] is not None:
                caused[row["cause"]][row["type"].rpartition(".")[0].rpartition(".")[2] + ".v1"] += 1
        for key, outcome in outcomes.items():
            name = ".".join(outcome["type"].split(".")[-2:])
            allowed = _LED_TO.get(name, {}) if outcome["status"] == "applied" else {}
            facts = caused[key]
            for fact, number in facts.items():
                if number > allowed.get(fact, (0, 0))[1]:
                    yield f"{name} {key} ({outcome['status']}) led to {number} {fact}"
            for fact, (least, _) in allowed.items():
                if facts[fact] < least:
                    yield f"{name} {key} led to no {fact}"


def _state_rows(seen: Seen) -> Iterator[str]:
    """What an applied command says it made is there, and every change of a thing is a fact with its version."""
    state = seen.state
    ids = {name: {row[column] for row in state[name]} for name, column in _KEYS.items()}
    for schema, outcomes in seen.outcomes.items():
        for key, outcome in outcomes.items():
            for name, value in outcome["ids"].items() if outcome["status"] == "applied" else ():
                if UUID(value) not in ids[_HOLDERS[name]]:
                    yield f"{schema}: {outcome['type']} {key} made {name} {value}, which is not there"
    submitted = {
        key
        for key, one in seen.outcomes["aid_calls"].items()
        if one["type"].endswith("submit-application.v1") and one["status"] == "applied"
    }
    if len(submitted) != len(state["applications"]):
        yield f"{len(submitted)} applications were accepted, {len(state['applications'])} are there"
    late = {one["call_id"]: one["closes_at"] for one in state["calls"]}
    for row in state["applications"]:
        if row["accepted_at"] > late[row["call_id"]]:
            yield f"application {row['application_id']} was accepted late"
    yield from _versions(seen, "aid_calls", {row["application_id"]: row["version"] for row in state["applications"]})
    yield from _versions(
        seen, "registration", {row["registration_id"]: row["version"] for row in state["registrations"]}
    )
    yield from _versions(seen, "registration", {row["meeting_id"]: row["version"] for row in state["meetings"]})
    yield from _versions(seen, "evaluation", {row["application_id"]: row["version"] for row in state["under_review"]})
    if len(state["reviews"]) != sum(
        row["type"] == f"{EVALUATION}review-submitted.v1" for row in seen.journals["evaluation"]
    ):
        yield "reviews and their facts differ in number"


_KEYS = {
    "people": "person_id",
    "meetings": "meeting_id",
    "registrations": "registration_id",
    "calls": "call_id",
    "applications": "application_id",
    "deliveries": "delivery_id",
}
_HOLDERS = {
    "person_id": "people",
    "meeting_id": "meetings",
    "registration_id": "registrations",
    "call_id": "calls",
    "application_id": "applications",
    "notification_id": "deliveries",
}


def _versions(seen: Seen, schema: str, things: dict[UUID, int]) -> Iterator[str]:
    """A thing at version n has n facts, numbered from 1, in the journal's order."""
    noted: dict[str, list[int]] = defaultdict(list)
    for row in seen.journals[schema]:
        if row["body"] is not None:
            noted[row["thing"]].append(row["version"])
    for thing, version in things.items():
        if noted[str(thing)] != list(range(1, version + 1)):
            yield f"{schema} {thing} is at version {version}, its facts are {noted[str(thing)]}"


def _journals(seen: Seen, *, reordered: bool) -> Iterator[str]:
    """Every fact of a journal is in EVENTS exactly once, word for word, and in order for each thing."""
    for schema, journal in seen.journals.items():
        noted = {row["fact_id"]: row for row in journal if row["body"] is not None}
        published = [one for one in seen.events if one.source == schema]
        there = Counter(one.fact_id for one in published)
        if lost := noted.keys() - there.keys():
            yield f"{schema}: {len(lost)} facts are not in EVENTS, e.g. {noted[next(iter(lost))]['type']}"
        if invented := there.keys() - noted.keys():
            yield f"{schema}: {len(invented)} facts in EVENTS are in no journal"
        if twice := [key for key, number in there.items() if number > 1]:
            yield f"{schema}: {len(twice)} facts are in EVENTS more than once"
        last: dict[str, int] = defaultdict(int)
        for one in published:
            row = noted.get(one.fact_id)
            if row is None:
                continue
            if row["body"].encode() != one.data:
                yield f"{schema}: fact {one.fact_id} says something else in EVENTS"
            if row["position"] < last[row["thing"]] and not reordered:
                yield f"{schema}: facts of {row['thing']} are out of order"
            last[row["thing"]] = row["position"]
        causes = Counter((row["cause"], row["type"], row["thing"]) for row in journal if row["cause"] and row["body"])
        if again := [key for key, number in causes.items() if number > 1]:
            yield f"{schema}: noted twice for the same cause: {again[0]}"


def _limits(seen: Seen) -> Iterator[str]:
    """Capacity and fund are never exceeded; nobody waits while there is a place."""
    for meeting in seen.state["meetings"]:
        places = Counter(
            row["state"] for row in seen.state["registrations"] if row["meeting_id"] == meeting["meeting_id"]
        )
        if places["confirmed"] > meeting["capacity"] or places["confirmed"] != meeting["confirmed"]:
            yield f"{places['confirmed']} places are given of {meeting['capacity']}, counted {meeting['confirmed']}"
        if places["waitlisted"] and places["confirmed"] < meeting["capacity"]:
            yield f"{places['waitlisted']} wait while only {places['confirmed']} places are given"
    for call in seen.state["calls"]:
        awarded = sum(row["amount"] or 0 for row in seen.state["applications"] if row["call_id"] == call["call_id"])
        if awarded > call["fund"] or awarded != call["total_awarded"]:
            yield f"{awarded} awarded of {call['fund']}, noted {call['total_awarded']}"


def _mails(ground: Ground, seen: Seen) -> Iterator[str]:
    """Every mail owed is sent; twice only where that is allowed, and then under one Message-ID."""
    states = Counter(row["state"] for row in seen.state["deliveries"])
    if states.keys() - {"sent"}:
        yield f"mails: {dict(states)}"
    owed = {f"<{row['delivery_id']}@" for row in seen.state["deliveries"]}
    sent = {key.partition("@")[0] + "@": number for key, number in seen.mails.items()}
    if owed - sent.keys() or sent.keys() - owed:
        yield f"mails: {len(owed - sent.keys())} not sent, {len(sent.keys() - owed)} sent that nobody owed"
    again = sum(number - 1 for number in sent.values())
    if again > ground.resent:
        yield f"mails: {again} sent again, allowed {ground.resent}"
