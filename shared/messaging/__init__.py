"""Messages in and out of a service: batches of commands and facts, questions, acknowledgement after commit."""

from shared.messaging.decisions import (
    Batched,
    By,
    Decision,
    Heard,
    QuestionRefused,
    Sender,
    applied,
    refused,
    rejected,
)

__all__ = [
    "Batched",
    "By",
    "Decision",
    "Heard",
    "QuestionRefused",
    "Sender",
    "applied",
    "refused",
    "rejected",
]
