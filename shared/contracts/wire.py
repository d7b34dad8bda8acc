"""How contracts travel: header names, envelopes, receipts, outcomes, problems, streams.

CloudEvents 1.0 in binary mode.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from shared.contracts.base import Contract
from shared.contracts.people import Instant

HEADER_ID = "Nats-Msg-Id"
HEADER_CLIENT = "Conecta-Client"
HEADER_INSTANCE = "Conecta-Instance"
HEADER_ERROR = "Conecta-Error"
HEADER_REASON = "Conecta-Parked-Reason"
# Where a parked message came from, with what id and when the bus first stored it (ISO 8601), and after how many tries.
HEADER_PARKED_ID = "Conecta-Parked-Id"
HEADER_PARKED_STREAM = "Conecta-Parked-Stream"
HEADER_PARKED_SEQUENCE = "Conecta-Parked-Sequence"
HEADER_PARKED_SUBJECT = "Conecta-Parked-Subject"
HEADER_PARKED_AT = "Conecta-Parked-Stored-At"
HEADER_PARKED_ATTEMPTS = "Conecta-Parked-Attempts"
# Why an operator discarded it: a JSON string, since headers are ASCII.
HEADER_WHY = "Conecta-Discarded-Why"
PARKED_HEADERS = frozenset(
    {
        HEADER_REASON,
        HEADER_PARKED_ID,
        HEADER_PARKED_STREAM,
        HEADER_PARKED_SEQUENCE,
        HEADER_PARKED_SUBJECT,
        HEADER_PARKED_AT,
        HEADER_PARKED_ATTEMPTS,
        HEADER_WHY,
    }
)
CE_ID, CE_TYPE, CE_SOURCE, CE_TIME, CE_SUBJECT, CE_SPEC = (
    "ce-id",
    "ce-type",
    "ce-source",
    "ce-time",
    "ce-subject",
    "ce-specversion",
)
TRACEPARENT = "traceparent"

STREAM_COMMANDS = "COMMANDS"
STREAM_EVENTS = "EVENTS"
STREAM_PEOPLE = "PEOPLE"
STREAM_PARKED = "PARKED"
# What operators decided about parked messages: heard by the one service that parked each.
STREAM_RESOLVED = "RESOLVED"

# The kinds of client that have an account of their own on the bus.
CLIENTS = ("web", "bot", "cli")

ClientName = Annotated[str, Field(pattern="^(" + "|".join(CLIENTS) + ")$")]
C = TypeVar("C", bound=Contract)
InstanceName = Annotated[str, Field(pattern=r"^[a-z0-9]{1,32}$")]


class Sent(BaseModel, Generic[C]):
    """The body of a command or question: the contract's JSON and the token of the person who sends it.

    The token is here and not in a header because headers of accepted commands are republished to every client.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    data: C
    actor: str | None = None


class Problem(BaseModel):
    """One thing that is wrong: a stable code, the field (dotted path) if there is one, and details for a text."""

    model_config = ConfigDict(frozen=True)

    code: str
    field: str | None = None
    detail: dict[str, str | int] = {}


class Status(StrEnum):
    """How a command ended."""

    APPLIED = "applied"
    REJECTED = "rejected"


class Outcome(BaseModel):
    """What became of a command, decided once and kept by command id."""

    model_config = ConfigDict(frozen=True)

    command_id: UUID
    type: str
    status: Status
    problems: tuple[Problem, ...] = ()
    ids: dict[str, str] = {}
    stored_at: Instant
    decided_at: Instant

    @property
    def applied(self) -> bool:
        """Whether the command took effect."""
        return self.status is Status.APPLIED


class Receipt(BaseModel):
    """The claims of a signed receipt: that the bus stored these bytes, at this place, at this time."""

    model_config = ConfigDict(frozen=True)

    command_id: UUID
    type: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="of the command's JSON, as sent")
    stream: str
    sequence: int = Field(ge=1)
    stored_at: Instant


# pydantic's own error types that can occur, under names that are ours to keep.
_CODES = {
    "missing": "required",
    "extra_forbidden": "unknown-field",
    "invalid_key": "unknown-field",
    "string_type": "not-text",
    "string_unicode": "invalid-character",
    "int_type": "not-a-whole-number",
    "int_parsing": "not-a-whole-number",
    "int_parsing_size": "not-a-whole-number",
    "int_from_float": "not-a-whole-number",
    "finite_number": "not-a-number",
    "bool_type": "not-true-or-false",
    "bool_parsing": "not-true-or-false",
    "model_type": "not-an-object",
    "model_attributes_type": "not-an-object",
    "dict_type": "not-an-object",
    "tuple_type": "not-a-list",
    "frozen_set_type": "not-a-list",
    "set_item_not_hashable": "not-one-of",
    "string_too_short": "too-short",
    "too_short": "too-short",
    "string_too_long": "too-long",
    "too_long": "too-long",
    "string_pattern_mismatch": "wrong-format",
    "greater_than": "too-small",
    "greater_than_equal": "too-small",
    "less_than": "too-large",
    "less_than_equal": "too-large",
    "enum": "not-one-of",
    "literal_error": "not-one-of",
    "uuid_parsing": "invalid-id",
    "uuid_type": "invalid-id",
    "decimal_parsing": "invalid-amount",
    "decimal_type": "invalid-amount",
    "decimal_max_digits": "invalid-amount",
    "decimal_max_places": "invalid-amount",
    "decimal_whole_digits": "invalid-amount",
    "date_parsing": "invalid-date",
    "date_type": "invalid-date",
    "date_from_datetime_parsing": "invalid-date",
    "date_from_datetime_inexact": "invalid-date",
    "datetime_parsing": "invalid-instant",
    "datetime_type": "invalid-instant",
    "datetime_from_date_parsing": "invalid-instant",
    "datetime_object_invalid": "invalid-instant",
    "timezone_aware": "instant-without-zone",
    "json_invalid": "malformed",
    "json_type": "malformed",
}
# Codes of our own validators.
_OURS = frozenset(
    {
        "unknown-region",
        "invalid-email",
        "invalid-phone",
        "invalid-birth-date",
        "invalid-amount",
        "invalid-instant",
        "invalid-dni",
        "invalid-document",
        "invalid-character",
    }
)
_MORE = "more-problems"
# Every code that `problems_of` gives; a command or question may meet others once it has been read.
SHAPE_CODES = _OURS | {*_CODES.values(), _MORE}

# An outcome must fit into one message, however many things are wrong with a command.
MOST_PROBLEMS = 100
_TOLD = {
    "min_length",
    "max_length",
    "ge",
    "gt",
    "le",
    "lt",
    "expected",
    "max_digits",
    "decimal_places",
    "whole_digits",
}


def problems_of(error: ValidationError) -> tuple[Problem, ...]:
    """The problems that a model found, without the offending values (they may be personal).

    All of them up to a hundred; then one, `more-problems`, with their number.
    """
    found = error.errors(include_url=False, include_input=False)
    problems = [_problem(entry) for entry in found[:MOST_PROBLEMS]]
    if len(found) > MOST_PROBLEMS:
        problems.append(Problem(code=_MORE, detail={"number": len(found) - MOST_PROBLEMS}))
    return tuple(problems)


def _problem(entry: ErrorDetails) -> Problem:
    kind = entry["type"]
    return Problem(
        code=kind if kind in _OURS else _CODES.get(kind, "invalid"),
        field=".".join(str(part)[:60] for part in entry["loc"] if part != "data")[:300] or None,
        detail={
            name: value if isinstance(value, str | int) else str(value)
            for name, value in entry.get("ctx", {}).items()
            if name in _TOLD
        },
    )
