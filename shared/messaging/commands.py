"""Commands: read, authorise, dispatch in order, note outcomes and facts; all in the transaction of the batch.

Whatever a client sends becomes an outcome: a body that is no JSON, an unknown command, a missing id are
`rejected` with stable codes like any broken rule. Only a handler that raises is a failure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from uuid import UUID, uuid5

from pydantic import ValidationError

from shared.contracts import Command
from shared.contracts.wire import (
    CLIENTS,
    HEADER_CLIENT,
    HEADER_ID,
    HEADER_INSTANCE,
    Outcome,
    Problem,
    Sent,
    Status,
    problems_of,
)
from shared.db import Tx, is_outage
from shared.identity import TokenRefused, Verifier
from shared.journal import Entry, Journal
from shared.log import logger
from shared.messaging import metrics
from shared.messaging.bookkeeping import Bookkeeping
from shared.messaging.consumer import Done, Failed, Verdict, described, savepoint
from shared.messaging.decisions import Batched, By, CommandHandler, CommandTable, Decision, Sender, rejected
from shared.messaging.pull import Message

log = logger(__name__)

# Ids for commands that came without a usable one: by their place in the stream.
_NAMELESS = UUID("6f3b1a52-8a0d-5a53-9c0e-6d6c1c8a7f10")
# So many applied commands of one kind in a batch have a log line each; more have one together.
_ONE_BY_ONE = 16
_INSTANCE = re.compile("[a-z0-9]{1,32}")


@dataclass(frozen=True, slots=True)
class Received:
    """A command as it came: `problem` instead of `command` and `by` where it cannot be carried out."""

    command_id: UUID
    type: str
    stored_at: datetime
    outcome_to: str | None
    command: Command | None = None
    by: By | None = None
    refusal: tuple[Problem, ...] = ()


class CommandWork:
    """Carries out one service's commands."""

    def __init__(
        self,
        *,
        service: str,
        table: CommandTable,
        verifier: Verifier,
        journal: Journal,
        bookkeeping: Bookkeeping,
    ) -> None:
        self._service = service
        self._table = table
        self._by_subject = {command.subject(): command for command in table}
        self._models = {command: Sent[command] for command in table}  # type: ignore[valid-type]
        self._verifier = verifier
        self._journal = journal
        self._bookkeeping = bookkeeping

    def message_id(self, message: Message) -> str:
        """The command's id."""
        return str(self._id(message))

    async def carry_out(self, tx: Tx, messages: Sequence[Message]) -> list[Verdict]:
        """Decide every command that is not decided yet; note outcomes and facts once, at the end."""
        received = [self._read(message) for message in messages]
        known = await self._bookkeeping.decided(tx, [one.command_id for one in received])
        fresh = {one.command_id: one for one in received if one.command_id not in known}
        decisions: dict[UUID, Decision | Failed] = {}
        groups = list(self._groups(list(fresh.values())))
        for group in groups:
            # Alone in the transaction: no savepoint, the consumer tries again one message at a time.
            decisions.update(await self._decide(tx, group, alone=len(messages) == 1 or len(groups) == 1))
        outcomes = await self._note(tx, fresh, decisions)
        return [
            failed if isinstance(failed := decisions.get(one.command_id), Failed) else _told(one, outcomes | known)
            for one in received
        ]

    async def discard(self, tx: Tx, message: Message, *, why: str) -> Verdict:
        """An operator has decided that it will not be carried out: its sender learns that, unless it was decided."""
        one = self._read(message)
        known = await self._bookkeeping.decided(tx, [one.command_id])
        fresh = {} if known else {one.command_id: one}
        decision = rejected(Problem(code="discarded", detail={"why": why}))
        return _told(one, await self._note(tx, fresh, dict.fromkeys(fresh, decision)) | known)

    async def _note(
        self, tx: Tx, fresh: dict[UUID, Received], decisions: dict[UUID, Decision | Failed]
    ) -> dict[UUID, Outcome]:
        now = datetime.now(UTC)
        decided = [(fresh[key], one) for key, one in decisions.items() if isinstance(one, Decision)]
        outcomes = [_outcome(one, decision, now) for one, decision in decided]
        if outcomes:
            await self._bookkeeping.decide(tx, outcomes)
            await self._journal.append(
                tx, [Entry(fact, one.command_id) for one, decision in decided for fact in decision.facts]
            )
        self._tell_operators(outcomes)
        return {outcome.command_id: outcome for outcome in outcomes}

    def _tell_operators(self, outcomes: Sequence[Outcome]) -> None:
        """A log line per command; in a rush one for all that were applied, and still one per rejection."""
        counts = Counter((outcome.type, outcome.status) for outcome in outcomes)
        for (command, status), number in counts.items():
            metrics.COMMANDS.labels(self._service, command, status).inc(number)
            if status is Status.APPLIED and number > _ONE_BY_ONE:
                log.info("commands", command=command, status=status, number=number)
        for outcome in outcomes:
            if outcome.applied and counts[outcome.type, outcome.status] > _ONE_BY_ONE:
                continue
            log.info(
                "command",
                command_id=str(outcome.command_id),
                command=outcome.type,
                status=outcome.status,
                problems=[problem.code for problem in outcome.problems],
            )

    def _groups(self, received: list[Received]) -> Iterator[list[Received]]:
        """Runs of commands for one batched handler; every other command on its own. Order is kept."""

        def run(one: Received) -> object:
            if one.command and isinstance(self._table[type(one.command)], Batched):
                return type(one.command)
            return one.command_id

        for _, group in groupby(received, key=run):
            yield list(group)

    async def _decide(self, tx: Tx, group: list[Received], *, alone: bool) -> dict[UUID, Decision | Failed]:
        first = group[0]
        if first.command is None or first.by is None:
            return {first.command_id: rejected(*first.refusal)}
        handler = self._table[type(first.command)]
        if not isinstance(handler, Batched):
            return {first.command_id: await self._one(tx, first, handler, alone=alone)}
        senders = [Sender(one.command, one.by) for one in group if one.command and one.by]
        try:
            async with savepoint(tx, alone=alone):
                decisions = await handler.handler(tx, senders)
            return {one.command_id: decision for one, decision in zip(group, decisions, strict=True)}
        except Exception as error:
            if alone or is_outage(error):
                raise
            log.warning("batch-failed", command=first.type, size=len(group), error=described(error))

        async def single(tx: Tx, command: Command, by: By) -> Decision:
            return (await handler.handler(tx, [Sender(command, by)]))[0]

        return {one.command_id: await self._one(tx, one, single, alone=False) for one in group}

    async def _one(self, tx: Tx, one: Received, handler: CommandHandler, *, alone: bool) -> Decision | Failed:
        assert one.command is not None  # noqa: S101 — for the type checker: _decide has looked
        assert one.by is not None  # noqa: S101
        try:
            async with savepoint(tx, alone=alone):
                return await handler(tx, one.command, one.by)
        except Exception as error:
            if alone or is_outage(error):
                raise  # the consumer counts it in a transaction of its own
            text = described(error)
        attempts = await self._bookkeeping.failed(tx, consumer="COMMANDS", message_id=str(one.command_id), error=text)
        return Failed(attempts, text)

    def _id(self, message: Message) -> UUID:
        try:
            return UUID(message.headers.get(HEADER_ID, ""))
        except ValueError:
            return uuid5(_NAMELESS, str(message.sequence))

    def _read(self, message: Message) -> Received:
        kind = self._by_subject.get(message.subject)
        command_id = self._id(message)

        def received(
            *, command: Command | None = None, by: By | None = None, refusal: tuple[Problem, ...] = ()
        ) -> Received:
            return Received(
                command_id=command_id,
                type=kind.type if kind else "unknown",
                stored_at=message.stored_at,
                outcome_to=_outcome_subject(message, command_id),
                command=command,
                by=by,
                refusal=refusal,
            )

        if kind is None:
            return received(refusal=(Problem(code="unknown-command"),))
        if rb"\u0000" in message.data:  # PostgreSQL stores no NUL in text
            return received(refusal=(Problem(code="invalid-character"),))
        try:
            sent = self._models[kind].model_validate_json(message.data)
        except ValidationError as error:
            return received(refusal=problems_of(error))
        try:
            actor = self._verifier.actor(sent.actor or "", at=message.stored_at)
        except TokenRefused as error:
            return received(refusal=(Problem(code="not-allowed", detail={"reason": error.code}),))
        if not actor.is_one_of(kind.may):
            return received(refusal=(Problem(code="not-allowed", detail={"reason": "role"}),))
        return received(command=sent.data, by=By(command_id, actor, message.stored_at))


def _outcome(one: Received, decision: Decision, now: datetime) -> Outcome:
    return Outcome(
        command_id=one.command_id,
        type=one.type,
        status=Status.REJECTED if decision.problems else Status.APPLIED,
        problems=decision.problems,
        ids=dict(decision.ids or {}),
        stored_at=one.stored_at,
        decided_at=now,
    )


def _told(one: Received, outcomes: dict[UUID, Outcome]) -> Done:
    if one.outcome_to is None:
        return Done()
    return Done((one.outcome_to, outcomes[one.command_id].model_dump_json().encode()))


def _outcome_subject(message: Message, command_id: UUID) -> str | None:
    """Where the outcome goes: built from checked parts, never a subject that a client chose."""
    client, instance = message.headers.get(HEADER_CLIENT), message.headers.get(HEADER_INSTANCE, "")
    if client not in CLIENTS or not _INSTANCE.fullmatch(instance):
        return None
    return f"conecta.outcome.{client}.{instance}.{command_id}"
