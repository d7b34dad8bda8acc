"""What notifications does when it hears a fact: owe a mail to whom it concerns, or keep what mails will say."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from services.notifications.commands import keep_calls, keep_meetings, keep_people, owe
from services.notifications.domain import Notice, Template
from shared.contracts import Fact
from shared.contracts.aid_calls import (
    AidAwarded,
    AidReserved,
    ApplicationNotSelected,
    ApplicationRuledEligible,
    ApplicationRuledIneligible,
    ApplicationState,
    ApplicationSubmitted,
    ApplicationWithdrawn,
    CallOpened,
)
from shared.contracts.evaluation import EvaluatorAssigned
from shared.contracts.registration import (
    MeetingPublished,
    Person,
    RegistrationCancelled,
    RegistrationConfirmed,
    RegistrationPromoted,
    RegistrationState,
    RegistrationWaitlisted,
)
from shared.db import Tx
from shared.messaging import Heard


async def on_person(tx: Tx, heard: Sequence[Heard[Person]]) -> Sequence[Fact]:
    """Keep where people are written to; forget it when they are erased."""
    await keep_people(tx, [one.fact for one in heard])
    return []


async def on_meeting_published(tx: Tx, heard: Sequence[Heard[MeetingPublished]]) -> Sequence[Fact]:
    """Keep what mails say of a meeting."""
    await keep_meetings(tx, [one.fact for one in heard])
    return []


async def on_call_opened(tx: Tx, heard: Sequence[Heard[CallOpened]]) -> Sequence[Fact]:
    """Keep what mails say of a call."""
    await keep_calls(tx, [one.fact for one in heard])
    return []


async def on_registration_confirmed(tx: Tx, heard: Sequence[Heard[RegistrationConfirmed]]) -> Sequence[Fact]:
    """Tell the person that they have a place."""
    await owe(tx, [_of_registration(one.fact_id, one.fact, Template.REGISTRATION_CONFIRMED) for one in heard])
    return []


async def on_registration_waitlisted(tx: Tx, heard: Sequence[Heard[RegistrationWaitlisted]]) -> Sequence[Fact]:
    """Tell the person that they wait, and at which place."""
    template = Template.REGISTRATION_WAITLISTED
    await owe(tx, [_of_registration(one.fact_id, one.fact, template, position=one.fact.position) for one in heard])
    return []


async def on_registration_promoted(tx: Tx, heard: Sequence[Heard[RegistrationPromoted]]) -> Sequence[Fact]:
    """Tell the person that they have a place after all."""
    await owe(tx, [_of_registration(one.fact_id, one.fact, Template.REGISTRATION_PROMOTED) for one in heard])
    return []


async def on_registration_cancelled(tx: Tx, heard: Sequence[Heard[RegistrationCancelled]]) -> Sequence[Fact]:
    """Tell the person that their place is given up."""
    await owe(tx, [_of_registration(one.fact_id, one.fact, Template.REGISTRATION_CANCELLED) for one in heard])
    return []


async def on_application_submitted(tx: Tx, heard: Sequence[Heard[ApplicationSubmitted]]) -> Sequence[Fact]:
    """Tell the applicant that it is in, and since when."""
    template = Template.APPLICATION_SUBMITTED
    await owe(
        tx,
        [
            _of_application(one.fact_id, one.fact, template, accepted_at=one.fact.accepted_at.isoformat())
            for one in heard
        ],
    )
    return []


async def on_application_withdrawn(tx: Tx, heard: Sequence[Heard[ApplicationWithdrawn]]) -> Sequence[Fact]:
    """Tell the applicant that it is withdrawn."""
    await owe(tx, [_of_application(one.fact_id, one.fact, Template.APPLICATION_WITHDRAWN) for one in heard])
    return []


async def on_application_ruled_eligible(tx: Tx, heard: Sequence[Heard[ApplicationRuledEligible]]) -> Sequence[Fact]:
    """Tell the applicant that it goes to the jury."""
    await owe(tx, [_of_application(one.fact_id, one.fact, Template.APPLICATION_RULED_ELIGIBLE) for one in heard])
    return []


async def on_application_ruled_ineligible(tx: Tx, heard: Sequence[Heard[ApplicationRuledIneligible]]) -> Sequence[Fact]:
    """Tell the applicant every reason why it does not."""
    template = Template.APPLICATION_RULED_INELIGIBLE
    await owe(tx, [_of_application(one.fact_id, one.fact, template, reasons=list(one.fact.reasons)) for one in heard])
    return []


async def on_evaluator_assigned(tx: Tx, heard: Sequence[Heard[EvaluatorAssigned]]) -> Sequence[Fact]:
    """Tell the evaluator how many applications there are to review, once per command of the team."""
    await owe(
        tx,
        [
            Notice(
                fact_id=one.fact_id,
                person_id=one.fact.evaluator_id,
                template=Template.EVALUATOR_ASSIGNED,
                call_id=one.fact.call_id,
                params={"added": len(one.fact.added), "assigned": one.fact.assigned},
            )
            for one in heard
            if one.fact.added
        ],
    )
    return []


async def on_aid_awarded(tx: Tx, heard: Sequence[Heard[AidAwarded]]) -> Sequence[Fact]:
    """Tell the applicant how much was granted."""
    await owe(
        tx,
        [
            _of_application(
                one.fact_id,
                one.fact,
                Template.AID_AWARDED,
                amount={"amount": str(one.fact.amount), "currency": one.fact.currency},
                total=str(one.fact.total),
            )
            for one in heard
        ],
    )
    return []


async def on_aid_reserved(tx: Tx, heard: Sequence[Heard[AidReserved]]) -> Sequence[Fact]:
    """Tell the applicant their place on the reserve list."""
    template = Template.AID_RESERVED
    await owe(
        tx,
        [
            _of_application(one.fact_id, one.fact, template, position=one.fact.position, total=str(one.fact.total))
            for one in heard
        ],
    )
    return []


async def on_application_not_selected(tx: Tx, heard: Sequence[Heard[ApplicationNotSelected]]) -> Sequence[Fact]:
    """Tell the applicant their total; the minimum is the call's."""
    template = Template.APPLICATION_NOT_SELECTED
    await owe(tx, [_of_application(one.fact_id, one.fact, template, total=str(one.fact.total)) for one in heard])
    return []


def _of_registration(fact_id: UUID, fact: RegistrationState, template: Template, **params: object) -> Notice:
    return Notice(
        fact_id=fact_id, person_id=fact.person_id, template=template, meeting_id=fact.meeting_id, params=params
    )


def _of_application(fact_id: UUID, fact: ApplicationState, template: Template, **params: object) -> Notice:
    return Notice(
        fact_id=fact_id,
        person_id=fact.person_id,
        template=template,
        call_id=fact.call_id,
        params={"application_id": str(fact.application_id), **params},
    )
