"""The published language: commands, questions, facts and records, one module per service. Pure data, no I/O."""

from shared.contracts import aid_calls, evaluation, notifications, registration
from shared.contracts.base import (
    COMMANDS,
    FACTS,
    QUESTIONS,
    RECORDS,
    SERVICES,
    Answer,
    Command,
    Fact,
    Question,
    Record,
)

__all__ = [
    "COMMANDS",
    "FACTS",
    "QUESTIONS",
    "RECORDS",
    "SERVICES",
    "Answer",
    "Command",
    "Fact",
    "Question",
    "Record",
    "aid_calls",
    "evaluation",
    "notifications",
    "registration",
]
