"""Who is told what, and what becomes of a mail after each answer of the mail server. Pure: no clock, no I/O.

Not here: the texts (templates/), how a mail is built (rendering) and sent (mailer).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

# How long a claim lasts. Whoever starts a mail within the first minute and waits for no reply longer than the mailer
# does (3 x 20 s and 150 s) is done before it ends, so that nobody else has taken the mail meanwhile.
LEASE = timedelta(minutes=5)
START_WITHIN = timedelta(minutes=1)

# Waits after the first, second, ... temporary refusal (4xx); the last one repeats, for about two days in all.
_DELAYS = tuple(timedelta(seconds=seconds) for seconds in (30, 120, 600, 1800, 3600, 7200, 14400))
_MOST_ATTEMPTS = 20
# After the connection was lost before the server had the mail, and after it was lost when it may have had it.
AGAIN_SOON = timedelta(seconds=5)
_MOST_LOSSES = 2

_ENHANCED = re.compile(r"5\.(\d{1,3})\.(\d{1,3})\b")
_OF_ADDRESS = {"521", "550", "551", "553", "556"}


class Template(StrEnum):
    """The messages: each has a folder of this name under templates/."""

    REGISTRATION_CONFIRMED = "registration-confirmed"
    REGISTRATION_WAITLISTED = "registration-waitlisted"
    REGISTRATION_PROMOTED = "registration-promoted"
    REGISTRATION_CANCELLED = "registration-cancelled"
    APPLICATION_SUBMITTED = "application-submitted"
    APPLICATION_WITHDRAWN = "application-withdrawn"
    APPLICATION_RULED_ELIGIBLE = "application-ruled-eligible"
    APPLICATION_RULED_INELIGIBLE = "application-ruled-ineligible"
    EVALUATOR_ASSIGNED = "evaluator-assigned"
    AID_AWARDED = "aid-awarded"
    AID_RESERVED = "aid-reserved"
    APPLICATION_NOT_SELECTED = "application-not-selected"


class State(StrEnum):
    """How a mail stands. Dropped: its person was erased before it went."""

    OWED = "owed"
    SENDING = "sending"
    SENT = "sent"
    DEFERRED = "deferred"
    FAILED = "failed"
    UNKNOWN = "unknown"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Somebody must be told of a fact. `params` is what only the fact knows; names and titles are joined later."""

    fact_id: UUID
    person_id: UUID
    template: Template
    meeting_id: UUID | None = None
    call_id: UUID | None = None
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A mail that a mailer holds, with everything its text says. `address` is None when its person was erased.

    `refused` is the reply code of the server that refused the address earlier; `mailer` the number of who holds it.
    """

    delivery_id: UUID
    fact_id: UUID
    person_id: UUID
    template: Template
    language: str
    given: str
    family: str
    address: str | None
    refused: str | None = None
    values: Mapping[str, Any]
    mailer: int = 0
    was: State = State.OWED
    attempts: int = 0
    losses: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a mail. `due_in` is when it has to be tried again; `suppress` when its address is no good."""

    mail: Mail
    state: State
    reason: str | None = None
    due_in: timedelta | None = None
    attempts: int = 0
    losses: int = 0
    suppress: bool = False


def untried(mail: Mail) -> Result | None:
    """What becomes of a mail that must not be tried: its person was erased, or its address refused before."""
    if mail.address is None:
        return Result(mail=mail, state=State.DROPPED, reason="erased", attempts=mail.attempts, losses=mail.losses)
    if mail.refused is not None:
        return _failed(mail, reason="address-suppressed", suppress=False)
    return None


def taken(mail: Mail) -> Result:
    """The server has taken it."""
    return Result(mail=mail, state=State.SENT, attempts=mail.attempts + 1, losses=mail.losses)


def given_back(mail: Mail, *, due_in: timedelta = timedelta(0)) -> Result:
    """It was not tried, or surely not taken, for a reason that lies with the server: that costs no attempt."""
    state = mail.was if mail.was in {State.DEFERRED, State.UNKNOWN} else State.OWED
    return Result(mail=mail, state=state, due_in=due_in, attempts=mail.attempts, losses=mail.losses)


def lost(mail: Mail) -> Result:
    """The connection ended when the server may have had the whole mail: resent once, with the same Message-ID."""
    losses = mail.losses + 1
    return Result(
        mail=mail,
        state=State.UNKNOWN,
        reason="connection-lost",
        due_in=AGAIN_SOON if losses < _MOST_LOSSES else None,
        attempts=mail.attempts,
        losses=losses,
    )


def answered(mail: Mail, *, code: int, text: str) -> Result:
    """The server refused it: for now (4xx), or for good (5xx, which may be about the address or about the mail)."""
    if code >= 500:
        return _failed(mail, reason=str(code), suppress=_is_of_address(code, text))
    return deferred(mail, reason=str(code))


def undeliverable(mail: Mail) -> Result:
    """The server does not take addresses of this kind (letters beyond ASCII before the @)."""
    return _failed(mail, reason="address-not-supported", suppress=True)


def deferred(mail: Mail, *, reason: str) -> Result:
    """Tried in vain; again later, but not for ever."""
    attempts = mail.attempts + 1
    if attempts >= _MOST_ATTEMPTS:
        return _failed(mail, reason=reason, suppress=False)
    return Result(
        mail=mail,
        state=State.DEFERRED,
        reason=reason,
        due_in=_DELAYS[min(attempts, len(_DELAYS)) - 1],
        attempts=attempts,
        losses=mail.losses,
    )


def _failed(mail: Mail, *, reason: str, suppress: bool) -> Result:
    return Result(
        mail=mail,
        state=State.FAILED,
        reason=reason,
        attempts=mail.attempts + 1,
        losses=mail.losses,
        suppress=suppress,
    )


def _is_of_address(code: int, text: str) -> bool:
    """Whether a refusal is about the mailbox, not about us or the mail (RFC 3463: 5.1 addressing, 5.2 mailbox)."""
    enhanced = _ENHANCED.match(text)
    if enhanced is None:
        return str(code) in _OF_ADDRESS
    subject, detail = enhanced.groups()
    return (subject == "1" and detail not in {"7", "8"}) or (subject == "2" and detail != "3")
