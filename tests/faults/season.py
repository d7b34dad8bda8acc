"""A load of commands of all kinds: a meeting that fills up, a call before its jury, a call that is being applied to.

Everything that people do runs at once, each person's own steps one after the other, as their outcomes come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from shared.contracts import Command, aid_calls, evaluation, notifications, registration
from shared.contracts.people import Document, PersonDetails, Role, Sector
from shared.contracts.wire import Outcome
from tests.faults.ground import Ground, call_rules
from tests.faults.senders import Person

PEOPLE, WALK_INS, BEFORE_JURY, EVALUATORS, CAPACITY = 24, 16, 10, 4, 9


@dataclass(kw_only=True)
class Season:
    """One load. `begin` makes what it needs, `load` is what a fault disturbs, `finish` what comes by itself later."""

    ground: Ground
    number: int
    meeting: UUID = field(default_factory=uuid7)
    judged: UUID = field(default_factory=uuid7)
    current: UUID = field(default_factory=uuid7)
    people: list[Person] = field(default_factory=list)
    jury: list[Person] = field(default_factory=list)
    eligible: list[UUID] = field(default_factory=list)
    failed: UUID | None = None
    closes_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    # Stays small enough that the fault comes before the end of the load.
    expected: int = 110

    async def begin(self) -> None:
        """People, a published meeting, a call whose applications are before the jury, a mail that was refused."""
        self.people = [Person(uuid7(), Role.PARTICIPANT) for _ in range(PEOPLE)]
        self.jury = [Person(uuid7(), Role.EVALUATOR) for _ in range(EVALUATORS)]
        await asyncio.gather(
            self._all(self._known(place, one) for place, one in enumerate((*self.people, *self.jury))),
            self._meeting(),
        )
        now = datetime.now(UTC)
        closes = now + timedelta(seconds=1.5)
        await self._call(self.judged, "J", opens_at=now, closes_at=closes)
        await self._all(self._apply(one, self.judged) for one in self.people[:BEFORE_JURY])
        await asyncio.gather(self._refused_mail(), self._before_jury())

    async def load(self, *, open_for: float) -> None:
        """Everything at once; the current call stays open for so many seconds."""
        now = datetime.now(UTC)
        self.closes_at = now + timedelta(seconds=open_for)
        await self._call(self.current, "C", opens_at=now, closes_at=self.closes_at)
        await self._all(
            (
                *(self._participant(one) for one in self.people),
                *(self._walk_in(place) for place in range(WALK_INS)),
                *(self._judged(place, key) for place, key in enumerate(self.eligible)),
                self._accounting(),
            )
        )

    async def finish(self) -> None:
        """The current call closes by the clock, the other gets its ranking and its awards."""
        ground = self.ground
        await self._done(self.current)
        # A service whose clock is ahead closes early, and still takes what the bus stored in time.
        await asyncio.sleep((self.closes_at - datetime.now(UTC)).total_seconds() + 0.1)
        progress = evaluation.PanelProgress(call_id=self.judged)
        await ground.until(progress, lambda panel: panel.complete)
        assert (await self._by_team(evaluation.FinaliseRanking(call_id=self.judged))).applied
        await ground.until(
            aid_calls.CallResults(call_id=self.judged), lambda results: results.state == "results-published"
        )
        late = await self._apply(self.people[-1], self.current)
        assert [problem.code for problem in late.problems] == ["late"]
        decided = await self._by(self.people[0], aid_calls.WithdrawApplication(application_id=self.eligible[0]))
        assert [problem.code for problem in decided.problems] == ["no-such-application"] or decided.problems
        again = await self._by_team(evaluation.FinaliseRanking(call_id=self.judged))
        assert [problem.code for problem in again.problems] == ["already-finalised"]

    async def _participant(self, one: Person) -> None:
        """A place, perhaps given up; an application, perhaps twice, perhaps withdrawn and sent anew."""
        dice = self.ground.rng.random
        outcome = await self._by(
            one, registration.RegisterParticipant(registration_id=uuid7(), meeting_id=self.meeting)
        )
        assert outcome.applied
        if dice() < 0.5:
            cancel = registration.CancelRegistration(registration_id=UUID(outcome.ids["registration_id"]))
            assert (await self._by(one, cancel)).applied
        if dice() < 0.3:
            await self._by(one, registration.RegisterParticipant(registration_id=uuid7(), meeting_id=self.meeting))
        applied = await self._apply(one, self.current)
        if applied.applied and dice() < 0.3:
            again = await self._apply(one, self.current)
            assert again.problems[0].code in {"already-applied", "late"}
        if applied.applied and dice() < 0.4:
            withdraw = aid_calls.WithdrawApplication(application_id=UUID(applied.ids["application_id"]))
            assert (await self._by(one, withdraw)).applied
            if dice() < 0.5:
                await self._apply(one, self.current)

    async def _walk_in(self, place: int) -> None:
        """Somebody whom the team enters, twice."""
        details = self._details(500 + place)
        for _ in range(2):
            register = registration.RegisterParticipant(
                registration_id=uuid7(), meeting_id=self.meeting, person=details
            )
            assert (await self._by_team(register)).applied

    async def _judged(self, place: int, key: UUID) -> None:
        """One application's reviews: perhaps a conflict of interest, perhaps a third review."""
        first, second, third, _ = self.ground.rng.sample(self.jury, 4)
        if place % 4 == 0:
            await self._assign(first, key)
            assert (await self._by(first, evaluation.DeclareConflict(application_id=key))).applied
            first = third
        totals = (9, 4) if place % 5 == 1 else (8, 7)
        for judge, score in zip((first, second), totals, strict=True):
            await self._assign(judge, key)
            assert (await self._review(judge, key, score)).applied
        if place % 5 == 1:
            await self._assign(third, key)
            assert (await self._review(third, key, 6)).applied
        repeated = await self._review(second, key, totals[1])
        assert repeated.applied
        changed = await self._review(second, key, 1)
        assert [problem.code for problem in changed.problems] == ["already-reviewed"]

    async def _accounting(self) -> None:
        """Rates, one of them twice and one another one; the refused mail is asked for again."""
        source = f"season-{self.number}"
        outcomes = [await self._by_team(_rate(rate, source)) for rate in ("3.71", "3.71", "3.99")]
        assert [outcome.applied for outcome in outcomes] == [True, True, False]
        if self.failed is not None:
            assert (await self._by_team(notifications.RetryNotification(notification_id=self.failed))).applied

    async def _meeting(self) -> None:
        starts = datetime.now(UTC) + timedelta(days=30)
        create = registration.CreateMeeting(
            meeting_id=self.meeting,
            code=f"ENC-{self.number}",
            title="Encuentro",
            theme="Festivales",
            city="Cusco",
            region="08",
            starts_at=starts,
            ends_at=starts + timedelta(days=2),
            capacity=CAPACITY,
        )
        assert (await self._by_team(create)).applied
        assert (await self._by_team(registration.PublishMeeting(meeting_id=self.meeting))).applied

    async def _known(self, place: int, one: Person) -> None:
        command = registration.RegisterPerson(
            person_id=one.person_id, person=self._details(place), roles=frozenset({one.role})
        )
        assert (await self._by_team(command)).applied

    async def _refused_mail(self) -> None:
        """The mailbox refuses one address for good."""
        details = self._details(900)
        fault = {"kind": "5xx", "address_pattern": details.email, "times": 1}
        await self.ground.mailbox("POST", "/api/fault", fault)
        person = Person(uuid7(), Role.PARTICIPANT)
        await self._by_team(registration.RegisterPerson(person_id=person.person_id, person=details))
        await self._by(person, registration.RegisterParticipant(registration_id=uuid7(), meeting_id=self.meeting))
        query = "select delivery_id from notifications.deliveries where person_id = $1 and state = 'failed'"
        async with self.ground.database() as database, asyncio.timeout(60):
            while (found := await database.fetchval(query, person.person_id)) is None:  # noqa: ASYNC110 — in a database
                await asyncio.sleep(0.05)  # looked at again until it is noted
        self.failed = UUID(str(found))

    async def _before_jury(self) -> None:
        results = await self._done(self.judged)
        assert results.eligible == BEFORE_JURY - 1  # one lives where the meeting is
        panel = await self.ground.until(
            evaluation.PanelProgress(call_id=self.judged), lambda panel: len(panel.applications) == results.eligible
        )
        self.eligible = [one.application_id for one in panel.applications]
        await self.ground.until(
            evaluation.ServiceStatus(), lambda status: not any(one.pending for one in status.consumers)
        )

    async def _done(self, call_id: UUID) -> Any:
        """Its results so far, once it is closed and ruled on."""
        return await self.ground.until(
            aid_calls.CallResults(call_id=call_id),
            lambda results: results.state not in ("draft", "open") and results.undecided == 0,
            seconds=400,
        )

    async def _call(self, call_id: UUID, letter: str, *, opens_at: datetime, closes_at: datetime) -> None:
        rules = call_rules(call_id, f"{letter}-{self.number}", opens_at=opens_at, closes_at=closes_at)
        assert (await self._by_team(aid_calls.CreateCall.model_validate(rules))).applied

    async def _apply(self, one: Person, call_id: UUID, application_id: UUID | None = None) -> Outcome:
        return await self._by(one, self.application(one, call_id, application_id))

    def application(self, one: Person, call_id: UUID, application_id: UUID | None = None) -> Command:
        """An application of a person; of one of them from the meeting's own region."""
        return aid_calls.SubmitApplication.model_validate(
            {
                "application_id": application_id or uuid7(),
                "call_id": call_id,
                "region": "08" if one == self.people[3] else ("15", "20")[one.person_id.int % 2],
                "birth": "1990-05-04",
                "sector": Sector.MUSIC,
                "requested": "850.00",
                "project": "Festival",
            }
        )

    async def _assign(self, judge: Person, key: UUID) -> None:
        assign = evaluation.AssignEvaluator(call_id=self.judged, evaluator_id=judge.person_id, application_ids=(key,))
        assert (await self._by_team(assign)).applied

    async def _review(self, judge: Person, key: UUID, score: int) -> Outcome:
        scores = {"relevance": score, "network": score}
        review = evaluation.SubmitReview.model_validate({"application_id": key, "scores": scores, "comment": "Bien."})
        return await self._by(judge, review)

    async def _by(self, person: Person, command: Command) -> Outcome:
        return await self.ground.senders.carry(command, person)

    async def _by_team(self, command: Command) -> Outcome:
        return await self._by(self.ground.organiser, command)

    async def _all(self, steps: Any) -> None:
        async with asyncio.TaskGroup() as group:
            for step in steps:
                group.create_task(_whole(step))

    def _details(self, place: int) -> PersonDetails:
        number = self.number * 1000 + place
        return PersonDetails(
            document=Document(number=f"{number:08d}"),
            given="Rosa",
            family="Quispe",
            email=f"p{number}@example.org",
            region=("15", "20")[place % 2],
            sector=Sector.MUSIC,
        )


def _rate(rate: str, source: str) -> Command:
    return evaluation.RecordExchangeRate.model_validate(
        {"pen_per_usd": rate, "date": date(2026, 5, 4), "source": source}
    )


async def _whole(step: Awaitable[Any]) -> None:
    await step
