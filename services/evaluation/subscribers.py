"""What evaluation does when it hears a fact: it keeps what it ranks by and counts, in whatever order it hears."""

from __future__ import annotations

from collections.abc import Sequence

from services.evaluation import commands
from shared.contracts import Fact
from shared.contracts.aid_calls import (
    AidAwarded,
    ApplicationRuledEligible,
    ApplicationRuledIneligible,
    ApplicationSubmitted,
    ApplicationWithdrawn,
    CallClosed,
    CallOpened,
)
from shared.contracts.registration import (
    MeetingPublished,
    RegistrationCancelled,
    RegistrationConfirmed,
    RegistrationPromoted,
)
from shared.db import Tx
from shared.messaging import Heard


async def on_meeting_published(tx: Tx, heard: Sequence[Heard[MeetingPublished]]) -> Sequence[Fact]:
    """A meeting counts."""
    return await commands.note_meetings(tx, [one.fact for one in heard])


async def on_registration_confirmed(tx: Tx, heard: Sequence[Heard[RegistrationConfirmed]]) -> Sequence[Fact]:
    """A person counts."""
    return await commands.note_registrations(tx, [one.fact for one in heard], state="confirmed")


async def on_registration_promoted(tx: Tx, heard: Sequence[Heard[RegistrationPromoted]]) -> Sequence[Fact]:
    """A person who waited counts."""
    return await commands.note_registrations(tx, [one.fact for one in heard], state="confirmed")


async def on_registration_cancelled(tx: Tx, heard: Sequence[Heard[RegistrationCancelled]]) -> Sequence[Fact]:
    """A person does not count by this registration."""
    return await commands.note_registrations(tx, [one.fact for one in heard], state="cancelled")


async def on_call_opened(tx: Tx, heard: Sequence[Heard[CallOpened]]) -> Sequence[Fact]:
    """A call counts; its rules are those of the panel."""
    return await commands.note_calls(tx, [one.fact for one in heard], state="open")


async def on_call_closed(tx: Tx, heard: Sequence[Heard[CallClosed]]) -> Sequence[Fact]:
    """A call can be ranked."""
    return await commands.note_calls(tx, [one.fact for one in heard], state="closed")


async def on_application_submitted(tx: Tx, heard: Sequence[Heard[ApplicationSubmitted]]) -> Sequence[Fact]:
    """An application counts."""
    return await commands.note_applications(tx, [one.fact for one in heard], state="submitted")


async def on_application_withdrawn(tx: Tx, heard: Sequence[Heard[ApplicationWithdrawn]]) -> Sequence[Fact]:
    """An application is no longer before the panel."""
    return await commands.note_applications(tx, [one.fact for one in heard], state="withdrawn")


async def on_application_ruled_eligible(tx: Tx, heard: Sequence[Heard[ApplicationRuledEligible]]) -> Sequence[Fact]:
    """An application comes before the panel."""
    return await commands.note_applications(tx, [one.fact for one in heard], state="eligible")


async def on_application_ruled_ineligible(tx: Tx, heard: Sequence[Heard[ApplicationRuledIneligible]]) -> Sequence[Fact]:
    """An application never comes before the panel: the ranking need not wait for it."""
    return await commands.note_applications(tx, [one.fact for one in heard], state="ineligible")


async def on_aid_awarded(tx: Tx, heard: Sequence[Heard[AidAwarded]]) -> Sequence[Fact]:
    """An award and its amount count."""
    return await commands.note_applications(tx, [one.fact for one in heard], state="awarded")
