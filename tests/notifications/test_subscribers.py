"""Hearing facts: who is owed which mail, once; what is kept of people, meetings and calls."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from services.notifications import subscribers
from shared.contracts import Fact
from shared.contracts.aid_calls import (
    AidAwarded,
    AidReserved,
    ApplicationNotSelected,
    ApplicationRuledEligible,
    ApplicationRuledIneligible,
    ApplicationSubmitted,
    ApplicationWithdrawn,
)
from shared.contracts.evaluation import EvaluatorAssigned
from shared.contracts.registration import (
    RegistrationCancelled,
    RegistrationConfirmed,
    RegistrationPromoted,
    RegistrationWaitlisted,
)
from shared.db import Tx
from tests.notifications.cast import application, call, heard, meeting, registration, rosa

PERSON, MEETING, CALL = uuid7(), uuid7(), uuid7()
REGISTRATION, APPLICATION = registration(PERSON, MEETING), application(PERSON, CALL)
NUMBER = {"application_id": str(APPLICATION["application_id"])}

OF_MEETINGS: list[tuple[Callable[..., Any], Fact, str, dict[str, Any]]] = [
    (subscribers.on_registration_confirmed, RegistrationConfirmed(**REGISTRATION), "registration-confirmed", {}),
    (
        subscribers.on_registration_waitlisted,
        RegistrationWaitlisted(**REGISTRATION, position=3),
        "registration-waitlisted",
        {"position": 3},
    ),
    (subscribers.on_registration_promoted, RegistrationPromoted(**REGISTRATION), "registration-promoted", {}),
    (subscribers.on_registration_cancelled, RegistrationCancelled(**REGISTRATION), "registration-cancelled", {}),
]
OF_CALLS: list[tuple[Callable[..., Any], Fact, str, dict[str, Any]]] = [
    (
        subscribers.on_application_submitted,
        ApplicationSubmitted(**APPLICATION),
        "application-submitted",
        {**NUMBER, "accepted_at": "2019-06-12T17:59:58.654321+00:00"},
    ),
    (subscribers.on_application_withdrawn, ApplicationWithdrawn(**APPLICATION), "application-withdrawn", NUMBER),
    (
        subscribers.on_application_ruled_eligible,
        ApplicationRuledEligible(**APPLICATION),
        "application-ruled-eligible",
        NUMBER,
    ),
    (
        subscribers.on_application_ruled_ineligible,
        ApplicationRuledIneligible(**APPLICATION, reasons=("resides-in-host-region", "under-age")),
        "application-ruled-ineligible",
        {**NUMBER, "reasons": ["resides-in-host-region", "under-age"]},
    ),
    (
        subscribers.on_evaluator_assigned,
        EvaluatorAssigned(version=1, evaluator_id=PERSON, call_id=CALL, added=(uuid7(), uuid7()), assigned=12),
        "evaluator-assigned",
        {"added": 2, "assigned": 12},
    ),
    (
        subscribers.on_aid_awarded,
        AidAwarded(
            **APPLICATION, amount=Decimal("850.00"), currency="PEN", money="general", rank=4, total=Decimal("93.50")
        ),
        "aid-awarded",
        {**NUMBER, "amount": {"amount": "850.00", "currency": "PEN"}, "total": "93.50"},
    ),
    (
        subscribers.on_aid_reserved,
        AidReserved(**APPLICATION, position=2, rank=20, total=Decimal("71.25")),
        "aid-reserved",
        {**NUMBER, "position": 2, "total": "71.25"},
    ),
    (
        subscribers.on_application_not_selected,
        ApplicationNotSelected(**APPLICATION, rank=40, total=Decimal("48.00")),
        "application-not-selected",
        {**NUMBER, "total": "48.00"},
    ),
]


async def owed(tx: Tx) -> list[dict[str, Any]]:
    rows = await tx.fetch(
        """
        select fact_id, person_id, template, meeting_id, call_id, params, state, version
          from notifications.deliveries order by delivery_id
        """
    )
    return [{**row, "params": json.loads(row["params"])} for row in rows]


def mail(fact_id: UUID, template: str, params: dict[str, Any], **about: UUID) -> dict[str, Any]:
    return {
        "fact_id": fact_id,
        "person_id": PERSON,
        "template": template,
        "meeting_id": None,
        "call_id": None,
        **about,
        "params": params,
        "state": "owed",
        "version": 0,
    }


@pytest.mark.parametrize(("subscriber", "fact", "template", "params"), OF_MEETINGS)
async def test_a_fact_about_a_registration_owes_its_person_one_mail(
    tx: Tx, subscriber: Callable[..., Any], fact: Fact, template: str, params: dict[str, Any]
) -> None:
    one = heard(fact)
    assert await subscriber(tx, [one]) == []
    assert await owed(tx) == [mail(one.fact_id, template, params, meeting_id=MEETING)]


@pytest.mark.parametrize(("subscriber", "fact", "template", "params"), OF_CALLS)
async def test_a_fact_about_an_application_owes_its_person_one_mail(
    tx: Tx, subscriber: Callable[..., Any], fact: Fact, template: str, params: dict[str, Any]
) -> None:
    one = heard(fact)
    assert await subscriber(tx, [one]) == []
    assert await owed(tx) == [mail(one.fact_id, template, params, call_id=CALL)]


@pytest.mark.parametrize(("subscriber", "fact", "template", "params"), [*OF_MEETINGS, *OF_CALLS])
async def test_a_fact_that_arrives_again_owes_nothing_more(
    tx: Tx, subscriber: Callable[..., Any], fact: Fact, template: str, params: dict[str, Any]
) -> None:
    one, another = heard(fact), heard(fact)
    await subscriber(tx, [one, another, one])
    await subscriber(tx, [another, one])
    assert [(row["fact_id"], row["template"], row["params"]) for row in await owed(tx)] == [
        (one.fact_id, template, params),
        (another.fact_id, template, params),
    ]


async def test_an_assignment_of_nothing_owes_nothing(tx: Tx) -> None:
    nothing = EvaluatorAssigned(version=1, evaluator_id=PERSON, call_id=CALL, added=(), assigned=12)
    await subscribers.on_evaluator_assigned(tx, [heard(nothing)])
    assert await owed(tx) == []


async def test_of_a_person_the_newest_record_counts_in_whatever_order_they_come(tx: Tx) -> None:
    old, new = rosa(PERSON, version=3, email="old@example.org"), rosa(PERSON, version=4, email="new@example.org")
    await subscribers.on_person(tx, [heard(new), heard(old)])
    await subscribers.on_person(tx, [heard(old)])
    await subscribers.on_person(tx, [heard(new)])
    found = await tx.fetch("select version, given, family, email, language, erased from notifications.people")
    assert [tuple(row) for row in found] == [(4, "Rosa", "Quispe Ñahui", "new@example.org", "es", False)]


async def test_of_a_person_who_was_erased_nothing_personal_stays(tx: Tx) -> None:
    await subscribers.on_person(tx, [heard(rosa(PERSON, version=1))])
    await subscribers.on_person(tx, [heard(rosa(PERSON, version=2, erased=True))])
    await subscribers.on_person(tx, [heard(rosa(PERSON, version=1))])
    found = await tx.fetch("select version, given, family, email, erased from notifications.people")
    assert [tuple(row) for row in found] == [(2, None, None, None, True)]


async def test_a_refused_address_counts_as_good_again_when_it_changes(tx: Tx) -> None:
    await subscribers.on_person(tx, [heard(rosa(PERSON, version=1))])
    await tx.execute("update notifications.people set refused = '550'")
    await subscribers.on_person(tx, [heard(rosa(PERSON, version=2, family="Quispe"))])
    assert await tx.fetchval("select refused from notifications.people") == "550"
    await subscribers.on_person(tx, [heard(rosa(PERSON, version=3, email="rosa@example.net"))])
    assert await tx.fetchval("select refused from notifications.people") is None


async def test_of_meetings_and_calls_the_newest_state_counts(tx: Tx) -> None:
    await subscribers.on_meeting_published(
        tx, [heard(meeting(MEETING, version=5, city="Tacna")), heard(meeting(MEETING, version=2))]
    )
    await subscribers.on_meeting_published(tx, [heard(meeting(MEETING, version=4, city="Lima"))])
    await subscribers.on_call_opened(tx, [heard(call(CALL, version=3, host_city="Tacna")), heard(call(CALL))])
    await subscribers.on_call_opened(tx, [heard(call(CALL, version=2))])
    assert await tx.fetchval("select city from notifications.meetings") == "Tacna"
    assert await tx.fetchval("select city from notifications.calls") == "Tacna"
