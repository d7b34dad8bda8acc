"""Notifications: who is told what.

Owns mails owed, sent and failed, and its own copy of addresses. Publishes whether a mail was taken or refused.
Hears every fact that somebody must be told of, and the PEOPLE stream. The team asks it how many mails wait.
"""

from __future__ import annotations

from shared.contracts import Fact, Record
from shared.contracts.aid_calls import (
    AidAwarded,
    AidReserved,
    ApplicationNotSelected,
    ApplicationRuledEligible,
    ApplicationRuledIneligible,
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
    RegistrationWaitlisted,
)

HEARS: tuple[type[Fact], ...] = (
    MeetingPublished,
    RegistrationConfirmed,
    RegistrationWaitlisted,
    RegistrationPromoted,
    RegistrationCancelled,
    CallOpened,
    ApplicationSubmitted,
    ApplicationWithdrawn,
    ApplicationRuledEligible,
    ApplicationRuledIneligible,
    AidAwarded,
    AidReserved,
    ApplicationNotSelected,
    EvaluatorAssigned,
)
RECORDS_HEARD: tuple[type[Record], ...] = (Person,)
