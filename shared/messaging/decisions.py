"""What handlers of commands and facts are given, and what they give back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeAlias, TypeVar
from uuid import UUID

from shared.contracts import Command, Fact, Question, Record
from shared.contracts.wire import Problem
from shared.db import Tx
from shared.identity import Actor

C = TypeVar("C", bound=Command)
F = TypeVar("F", bound="Fact | Record")


@dataclass(frozen=True, slots=True)
class By:
    """On whose behalf, and when: `stored_at` is the time the bus stored the command, and decides what is late."""

    command_id: UUID
    actor: Actor
    stored_at: datetime


@dataclass(frozen=True, slots=True)
class Sender(Generic[C]):
    """One command with who sent it, for handlers that take many at once."""

    command: C
    by: By


@dataclass(frozen=True, slots=True)
class Heard(Generic[F]):
    """One fact as it was heard: its id is the natural key of what must happen once because of it."""

    fact: F
    fact_id: UUID
    at: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """What a command led to: nothing but problems, or facts and the ids that its sender wants to know."""

    problems: tuple[Problem, ...] = ()
    ids: Mapping[str, str] | None = None
    facts: tuple[Fact | Record, ...] = ()


def applied(*facts: Fact | Record, **ids: UUID) -> Decision:
    """The command took effect."""
    return Decision(facts=facts, ids={name: str(value) for name, value in ids.items()})


def rejected(*problems: Problem) -> Decision:
    """The command has no effect, for these reasons."""
    return Decision(problems=problems)


def refused(code: str, *, field: str | None = None, **detail: str | int) -> Decision:
    """The command has no effect, for one reason."""
    return rejected(Problem(code=code, field=field, detail=detail))


class QuestionRefused(Exception):  # noqa: N818 — the domain's word
    """A question has no answer; `code` says why, for machines."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


# One command in its own savepoint.
CommandHandler: TypeAlias = Callable[[Tx, Any, By], Awaitable[Decision]]
# Many commands of one kind in one savepoint, decisions in the same order; one by one when that fails.
CommandsHandler: TypeAlias = Callable[[Tx, Sequence[Sender[Any]]], Awaitable[Sequence[Decision]]]
FactsHandler: TypeAlias = Callable[[Tx, Sequence[Heard[Any]]], Awaitable[Sequence[Fact]]]
QuestionHandler: TypeAlias = Callable[[Tx, Any, Actor | None], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Batched:
    """Marks a handler that takes many commands of one kind at once."""

    handler: CommandsHandler


CommandTable: TypeAlias = Mapping[type[Command], "CommandHandler | Batched"]
FactTable: TypeAlias = Mapping[type[Fact] | type[Record], FactsHandler]
QuestionTable: TypeAlias = Mapping[type[Question], QuestionHandler]
