"""Evaluation: what the jury thinks, and what the measure has achieved.

Owns assignments, conflicts of interest, reviews, the order of merit, exchange rates, the measure report.
Publishes assignments, conflicts, reviews, rankings. Hears what it ranks and counts: meetings, registrations, calls,
applications, awards. The team asks it for progress, ranking and report.
"""

from __future__ import annotations

from shared.contracts import Fact, Record
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

HEARS: tuple[type[Fact], ...] = (
    MeetingPublished,
    RegistrationConfirmed,
    RegistrationPromoted,
    RegistrationCancelled,
    CallOpened,
    CallClosed,
    ApplicationSubmitted,
    ApplicationWithdrawn,
    ApplicationRuledEligible,
    ApplicationRuledIneligible,
    AidAwarded,
)
RECORDS_HEARD: tuple[type[Record], ...] = ()
