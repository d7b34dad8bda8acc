"""A story: the whole line once, through the client library only, with the people, calls and reviews of two files.

Meeting → registrations → call → applications → closing by the clock → eligibility → reviews, thirds where two
diverge → ranking → awards → mails → measure report. Waits for facts and answers, never for a time to pass.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import UUID

from rich.progress import Progress
from uuid_utils.compat import uuid7

from clients.cli.call_file import CallFile, FiledApplication, FiledReview
from clients.cli.people import register_people, settled, windowed
from clients.cli.registrations_file import RegistrationsFile
from shared import receipts
from shared.client import Accepted, Client, ClientError, Refused
from shared.contracts import Command, aid_calls, evaluation, notifications, registration
from shared.contracts.evaluation import AssignEvaluator, FinaliseRanking, RecordExchangeRate, SubmitReview
from shared.contracts.people import Document, PersonDetails, Role
from shared.contracts.registration import CreateMeeting, PublishMeeting, RegisterPerson
from shared.contracts.wire import Outcome
from shared.identity import Actor, Authority

# How long one command's outcome, or one stage's condition, may take: a service may be killed in between.
PATIENCE = 180.0


class StoryFailed(Exception):  # noqa: N818
    """The story cannot go on; the message tells its reader why."""


@dataclass(frozen=True, slots=True)
class ExchangeRate:
    """What the report converts with."""

    pen_per_usd: str
    date: str
    source: str


# For demonstrations and stories that name no rate of their own.
DEMO_RATE = ExchangeRate("3.75", "2026-11-24", "tipo de cambio de demostración")


@dataclass(slots=True)
class Told:
    """What has happened so far, by the files' own references."""

    people: dict[str, UUID] = field(default_factory=dict)
    applications: dict[str, UUID] = field(default_factory=dict)
    rejected: list[tuple[str, Outcome]] = field(default_factory=list)
    receipts: int = 0
    receipts_verified: int = 0
    commands: int = 0
    without_outcome: int = 0
    reviews: int = 0
    reviews_unused: int = 0
    third_reviews: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def ref(self, application_id: UUID) -> str:
        """The file's reference of an application."""
        return next(ref for ref, known in self.applications.items() if known == application_id)


class Story:
    """One story under way."""

    def __init__(
        self,
        *,
        client: Client,
        authority: Authority,
        receipt_keys: Path,
        registrations: RegistrationsFile,
        call: CallFile,
        rate: ExchangeRate,
        progress: Progress,
        open_for: timedelta | None = None,
        keep_receipts: Path | None = None,
    ) -> None:
        """`open_for` is how long the call stays open; by default a few seconds more than sending takes.

        Receipts are written to the directory `keep_receipts`, by the file's own references.
        """
        self.told = Told()
        self.meeting_id = uuid7()
        self.call_id = uuid7()
        self._client = client
        self._authority = authority
        self._receipt_keys = receipt_keys
        self._registrations = registrations
        self._call = call
        self._rate = rate
        self._progress = progress
        self._keep_receipts = keep_receipts
        # Sending takes a second per thousand here, and would take one per hundred on the slowest of machines.
        self._open_for = open_for or timedelta(seconds=4 + len(call.applications) / 100)
        self._organiser = self._token(uuid7(), Role.ORGANISER)

    async def tell(self) -> None:
        """Play the whole line."""
        await self.begin()
        with self._stage("closing"):
            await self._closing()
        with self._stage("reviews"):
            await self._reviews()
        with self._stage("results"):
            await self._results()
        with self._stage("mails"):
            await self._mails()

    async def begin(self) -> None:
        """Play it up to the applications."""
        with self._stage("meeting"):
            await self._meeting()
        with self._stage("registrations"):
            await self._registered()
        with self._stage("people"):
            await self._people()
        with self._stage("applications"):
            await self._applications()

    async def ask(self, question: Any) -> Any:
        """An answer to the organiser, asked again while a service is away."""
        deadline = monotonic() + PATIENCE
        while True:
            try:
                return await self._client.ask(question, question.answer, actor=self._organiser)
            except ClientError as error:
                away = not isinstance(error, Refused) or error.code == "database-away"
                if not away or monotonic() > deadline:
                    raise
            await asyncio.sleep(0.2)  # a service is being restarted

    async def _meeting(self) -> None:
        rules = self._call
        starts_at = datetime.now(UTC) + timedelta(days=30)
        create = CreateMeeting(
            meeting_id=self.meeting_id,
            code=f"CONECTA-{rules.call.host_region}-{datetime.now(UTC):%Y%m%d-%H%M%S}",
            title=f"Encuentro CONECTA {rules.call.host_city.title()}",
            theme="Gestión de festivales",
            city=rules.call.host_city.title(),
            region=rules.call.host_region,
            starts_at=starts_at,
            ends_at=starts_at + timedelta(days=rules.call.days),
            capacity=max(1, len(self._registrations.people)),
        )
        await self._must(create)
        await self._must(PublishMeeting(meeting_id=self.meeting_id))

    async def _registered(self) -> None:
        advance = self._bar("Inscripciones", len(self._registrations.people))
        sent = await register_people(
            self._client,
            self._registrations.people,
            meeting_id=self.meeting_id,
            actor=self._organiser,
            seconds=PATIENCE,
            advance=advance,
        )
        for row, outcome in sent:
            self._note(f"fila {row}", outcome)

    async def _people(self) -> None:
        filed = self._call
        known: list[tuple[str, RegisterPerson]] = [
            (one.ref, RegisterPerson(person_id=uuid7(), person=_applicant(one))) for one in filed.applications
        ]
        known += [
            (
                email,
                RegisterPerson(
                    person_id=uuid7(),
                    person=PersonDetails(given=email.partition("@")[0], family="(jurado)", email=email),
                    roles=frozenset({Role.EVALUATOR}),
                ),
            )
            for email in filed.call.evaluators
        ]
        outcomes = await self._all("Personas", known, actor=lambda _: self._organiser)
        self.told.people = {key: UUID(outcome.ids["person_id"]) for key, outcome in outcomes.items()}

    async def _applications(self) -> None:
        filed = self._call.applications
        opens_at = datetime.now(UTC)
        closes_at = opens_at + self._open_for
        rules = self._call.rules(opens_at=opens_at, closes_at=closes_at, meeting_id=self.meeting_id)
        await self._must(aid_calls.CreateCall(call_id=self.call_id, **rules.model_dump()))
        advance = self._bar("Postulaciones", len(filed))
        flying = []
        for one in filed:  # in the file's order, so that they are accepted in it
            command = _application(one, self.call_id)
            token = self._token(self.told.people[one.ref], Role.PARTICIPANT)
            flying.append((one.ref, command, await self._client.dispatch(command, actor=token)))

        async def ended(ref: str, command: aid_calls.SubmitApplication, dispatched: Any) -> None:
            accepted = await dispatched.accepted(patience=PATIENCE)
            self._keep(ref, accepted)
            outcome = self._note(ref, await dispatched.outcome(seconds=PATIENCE))
            if outcome is not None and outcome.applied:
                self.told.applications[ref] = command.application_id
            advance()

        await asyncio.gather(*(ended(*one) for one in flying))

    def _keep(self, ref: str, accepted: Accepted) -> None:
        """Check a receipt as its owner could, with the published keys alone."""
        self.told.receipts += 1
        claimed = receipts.verify(accepted.signed, self._receipt_keys)
        self.told.receipts_verified += claimed.sha256 == receipts.digest(accepted.command)
        if self._keep_receipts is not None:
            file = self._keep_receipts / f"{re.sub(r'[^A-Za-z0-9_-]', '_', ref)}.json"
            receipts.to_file(file, signed=accepted.signed, command=accepted.command)

    async def _closing(self) -> None:
        advance = self._bar("Cierre de la convocatoria", 1)
        await self._until(
            aid_calls.CallResults(call_id=self.call_id),
            lambda answer: answer.state == "closed" and answer.undecided == 0,
        )
        advance()

    async def _reviews(self) -> None:
        results = await self.ask(aid_calls.CallResults(call_id=self.call_id))
        eligible = {ref for ref, key in self.told.applications.items() if key not in results.ineligible}
        if missing := self._call.missing_reviews(eligible):
            raise StoryFailed("; ".join(missing))
        self.told.reviews_unused = self._call.unused_reviews(eligible)
        await self._until(
            evaluation.PanelProgress(call_id=self.call_id),
            lambda answer: len(answer.applications) == len(eligible),
        )
        first, extra = self._call.reviews_in_rounds(eligible)
        await self._reviewed("Evaluaciones", first)
        progress = await self.ask(evaluation.PanelProgress(call_id=self.call_id))
        needed = {self.told.ref(one.application_id) for one in progress.applications if one.third_needed}
        self._check_thirds(needed, {review.ref for review in extra})
        await self._reviewed("Terceras evaluaciones", extra)

    def _check_thirds(self, needed: set[str], filed: set[str]) -> None:
        problems = [f"falta la tercera evaluación de {ref}" for ref in sorted(needed - filed)]
        problems += [f"sobra una evaluación de {ref}: los totales no divergen" for ref in sorted(filed - needed)]
        if problems:
            raise StoryFailed("; ".join(problems))

    async def _reviewed(self, title: str, reviews: Sequence[FiledReview]) -> None:
        by_evaluator: dict[str, list[UUID]] = defaultdict(list)
        for review in reviews:
            by_evaluator[review.evaluator].append(self.told.applications[review.ref])
        assignments = [
            (
                email,
                AssignEvaluator(
                    call_id=self.call_id, evaluator_id=self.told.people[email], application_ids=tuple(keys)
                ),
            )
            for email, keys in by_evaluator.items()
        ]
        await self._all("Asignaciones", assignments, actor=lambda _: self._organiser)
        commands = [
            (
                f"{review.ref} {review.evaluator}",
                SubmitReview(
                    application_id=self.told.applications[review.ref],
                    scores=review.scores,
                    comment=review.comment,
                ),
            )
            for review in reviews
        ]
        tokens = {email: self._token(self.told.people[email], Role.EVALUATOR) for email in by_evaluator}
        outcomes = await self._all(title, commands, actor=lambda key: tokens[key.partition(" ")[2]])
        self.told.reviews += len(outcomes)

    async def _results(self) -> None:
        rate = RecordExchangeRate.model_validate(
            {"pen_per_usd": self._rate.pen_per_usd, "date": self._rate.date, "source": self._rate.source}
        )
        await self._must(rate)
        await self._until(evaluation.PanelProgress(call_id=self.call_id), lambda progress: progress.complete)
        await self._must(FinaliseRanking(call_id=self.call_id))
        await self._until(
            aid_calls.CallResults(call_id=self.call_id), lambda answer: answer.state == "results-published"
        )

    async def _mails(self) -> None:
        """Until nothing is on its way anywhere: journals published, facts heard, mails sent."""
        advance = self._bar("Correos", 1)
        modules = (registration, aid_calls, evaluation, notifications)
        for module in modules[:3]:
            await self._until(module.ServiceStatus(), lambda status: status.idle)
        for module in modules:  # what the first round led to
            await self._until(module.ServiceStatus(), lambda status: status.idle)
        await self._until(notifications.NotificationCounts(), lambda counts: counts.waiting == 0)
        advance()

    async def _until(self, question: Any, holds: Callable[[Any], bool]) -> Any:
        deadline = monotonic() + PATIENCE
        while not holds(answer := await self.ask(question)):
            if monotonic() > deadline:
                message = f"nada cambió en {PATIENCE:.0f} s al preguntar {question.name}"
                raise StoryFailed(message)
            await asyncio.sleep(0.1)  # between two questions
        return answer

    async def _must(self, command: Command) -> Outcome:
        return (await self._all(None, [(command.name, command)], actor=lambda _: self._organiser))[command.name]

    async def _all(
        self, title: str | None, commands: Iterable[tuple[str, Command]], *, actor: Callable[[str], str]
    ) -> dict[str, Outcome]:
        """Send commands that have to be applied; their outcomes by key."""
        commands = list(commands)
        advance = self._bar(title, len(commands)) if title else None

        async def one(key: str, command: Command) -> tuple[str, Outcome | None]:
            dispatched = await self._client.dispatch(command, actor=actor(key))
            outcome = self._note(key, await settled(dispatched, seconds=PATIENCE))
            if advance:
                advance()
            return key, outcome

        ended = await windowed([one(key, command) for key, command in commands])
        failed = [f"{key}: {_why(outcome)}" for key, outcome in ended if outcome is None or not outcome.applied]
        if failed:
            raise StoryFailed("; ".join(failed))
        return {key: outcome for key, outcome in ended if outcome is not None}

    def _note(self, key: str, outcome: Outcome | None) -> Outcome | None:
        self.told.commands += 1
        if outcome is None:
            self.told.without_outcome += 1
        elif not outcome.applied:
            self.told.rejected.append((key, outcome))
        return outcome

    def _token(self, person_id: UUID, role: Role) -> str:
        actor = Actor(person_id, frozenset({role}))
        return self._authority.issue(actor, now=datetime.now(UTC))

    def _bar(self, title: str, total: int) -> Callable[[], None]:
        task = self._progress.add_task(title, total=total)
        return lambda: self._progress.advance(task)

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        started = monotonic()
        yield
        self.told.seconds[name] = round(monotonic() - started, 2)


def _why(outcome: Outcome | None) -> str:
    if outcome is None:
        return "sin resultado a tiempo"
    return ", ".join(
        f"{problem.field}: {problem.code}" if problem.field else problem.code for problem in outcome.problems
    )


def _applicant(one: FiledApplication) -> PersonDetails:
    return PersonDetails(
        document=Document(number=one.dni),
        given=one.given,
        family=one.family,
        email=one.email,
        birth=one.birth,
        region=one.region,
        sector=one.sector,
    )


def _application(one: FiledApplication, call_id: UUID) -> aid_calls.SubmitApplication:
    return aid_calls.SubmitApplication(
        application_id=uuid7(),
        call_id=call_id,
        country=one.country,
        region=one.region,
        birth=one.birth,
        sector=one.sector,
        requested=one.requested,
        project=one.project,
        motivation=one.motivation,
        documents=one.documents,
    )
