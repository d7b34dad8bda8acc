"""The mailer against a real mail server and a real database: what goes wrong, and that every mail goes once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from services.notifications import commands, smtp, store, subscribers
from services.notifications.domain import Notice, Template
from services.notifications.mailer import send_mails
from shared.contracts.notifications import NotificationFailed, NotificationSent
from shared.db import Database, is_outage
from shared.journal import Journal
from shared.service import Context
from tests.notifications.cast import MEETING, call, heard, meeting, rosa
from tests.notifications.post_office import OK, Letter, PostOffice
from tests.servers import Installation

pytestmark = pytest.mark.usefixtures("emptied")

PROJECT = Path(__file__).parents[2]
CALL = call()


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What a test of the mailer works with."""

    installation: Installation
    database: Database
    office: PostOffice

    def context(self, **changes: Any) -> Context:
        """What the service would give its worker."""
        stated = {"smtp_port": self.office.port, **changes}
        settings = self.installation.service_settings("notifications", **stated)
        return Context(self.database, Journal("notifications"), settings, asyncio.Event(), asyncio.Event())

    @asynccontextmanager
    async def mailing(self, **changes: Any) -> AsyncIterator[Context]:
        """A mailer at work, told to stop at the end."""
        context = self.context(**changes)
        task = asyncio.create_task(send_mails(context))
        try:
            yield context
        finally:
            context.stopping.set()
            context.news.set()
            await asyncio.wait_for(task, 20)

    async def know(self, *people: UUID, **changes: Any) -> None:
        """The call, and people by their ids."""
        async with self.database.transaction() as tx:
            await subscribers.on_call_opened(tx, [heard(CALL)])
            records = [rosa(one, **{"email": f"rosa-{one}@example.org", **changes}) for one in people]
            await subscribers.on_person(tx, [heard(record) for record in records])

    async def owe(self, *people: UUID, template: Template = Template.APPLICATION_WITHDRAWN, **params: Any) -> None:
        """A mail to each."""
        params = {"application_id": str(uuid7()), **params}
        notices = [
            Notice(fact_id=uuid7(), person_id=one, template=template, call_id=CALL.call_id, params=params)
            for one in people
        ]
        async with self.database.transaction() as tx:
            await commands.owe(tx, notices)

    async def owe_many(self, number: int) -> list[UUID]:
        """A mail to each of that many people."""
        people = [uuid7() for _ in range(number)]
        await self.know(*people)
        await self.owe(*people)
        return people

    async def fetch(self, statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Rows, also right after a test has ended the pool's sessions."""
        while True:
            try:
                async with self.database.connection() as connection:
                    return [tuple(row) for row in await connection.fetch(statement, *arguments)]
            except Exception as error:
                if not is_outage(error):
                    raise

    async def states(self) -> dict[str, int]:
        """How many mails are in each state."""
        return {
            str(state): int(number)
            for state, number in await self.fetch("select state, count(*) from notifications.deliveries group by 1")
        }

    async def until_states(self, **expected: int) -> None:
        """Wait until the mails stand so."""

        async def reached() -> bool:
            return await self.states() == expected

        await until(reached)

    async def until_hastened_states(self, **expected: int) -> None:
        """Wait until the mails stand so, with nothing waiting for its time."""

        async def reached() -> bool:
            await self.hasten()
            return await self.states() == expected

        await until(reached)

    async def hasten(self) -> None:
        """Whatever is due later is due now."""
        await self.fetch(
            """
            update notifications.deliveries set due_at = now()
             where due_at is not null and state <> 'sending' returning 1
            """
        )

    async def facts(self) -> list[NotificationSent | NotificationFailed]:
        """What waits to be published."""
        rows = await self.fetch(
            """
            select type, body from notifications.unpublished join notifications.journal using (position)
             order by position
            """
        )
        kinds = {kind.type: kind for kind in (NotificationSent, NotificationFailed)}
        return [kinds[kind].model_validate_json(body) for kind, body in rows]


@pytest.fixture
def bench(installation: Installation, database: Database, post_office: PostOffice) -> Bench:
    return Bench(installation=installation, database=database, office=post_office)


async def until(condition: Callable[[], Awaitable[bool]], *, seconds: float = 20) -> None:
    """Wait for a condition of the database."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 — the database has no event for it
            await asyncio.sleep(0.02)


def times(letters: list[Letter]) -> list[int]:
    """How often each mail arrived, for mails that arrived."""
    return sorted(Counter(letter.id for letter in letters).values())


async def test_what_is_owed_is_sent_once_and_told(bench: Bench) -> None:
    people = await bench.owe_many(50)
    async with bench.mailing():
        await bench.until_states(sent=50)
    assert sorted(letter.recipient for letter in bench.office.letters) == sorted(
        f"rosa-{person}@example.org" for person in people
    )
    assert {letter.sender for letter in bench.office.letters} == {"no-responder@conecta.example"}
    assert {letter.message["X-Conecta-Template"] for letter in bench.office.letters} == {"application-withdrawn"}
    rows = await bench.fetch(
        "select delivery_id, person_id, fact_id, due_at, mailer, attempts, version from notifications.deliveries"
    )
    assert {row[3:] for row in rows} == {(None, None, 1, 1)}
    assert {letter.id for letter in bench.office.letters} == {f"<{row[0]}@conecta.example>" for row in rows}
    told = {
        (fact.notification_id, fact.person_id, fact.fact_id, fact.template, fact.version)
        for fact in await bench.facts()
    }
    assert told == {(row[0], row[1], row[2], "application-withdrawn", 1) for row in rows}
    assert {type(fact) for fact in await bench.facts()} == {NotificationSent}


async def test_connections_last(bench: Bench) -> None:
    await bench.owe_many(60)
    async with bench.mailing(smtp_connections=3):
        await bench.until_states(sent=60)
        await bench.owe_many(60)
        await bench.until_states(sent=120)
    assert bench.office.connections == 3


async def test_a_mail_goes_out_as_soon_as_it_is_owed(bench: Bench) -> None:
    person = uuid7()
    await bench.know(person)
    async with bench.mailing() as context:
        await bench.owe(person)
        context.news.set()
        assert len(await bench.office.received(1, seconds=0.9)) == 1


async def test_a_mail_waits_for_its_person(bench: Bench) -> None:
    stranger = uuid7()
    async with bench.mailing():
        await bench.owe(stranger)
        await bench.owe_many(3)
        await bench.until_states(sent=3, owed=1)
        await bench.know(stranger)
        await bench.until_states(sent=4)
    assert bench.office.letters[-1].recipient == f"rosa-{stranger}@example.org"


async def test_nobody_who_was_erased_gets_a_mail(bench: Bench) -> None:
    person = uuid7()
    await bench.know(person)
    await bench.know(person, version=2, erased=True)
    await bench.owe(person)
    async with bench.mailing():
        await bench.until_states(dropped=1)
    assert bench.office.letters == []
    assert await bench.facts() == []


async def test_a_temporary_refusal_is_tried_again_later(bench: Bench) -> None:
    bench.office.at_recipient = lambda _: "451 4.7.1 Greylisted, come back later"
    await bench.owe_many(1)
    async with bench.mailing():
        await bench.until_states(deferred=1)
        [(reason, attempts, wait)] = await bench.fetch(
            "select reason, attempts, extract(epoch from due_at - now())::int from notifications.deliveries"
        )
        assert (reason, attempts) == ("451", 1)
        assert 20 <= wait <= 30
        bench.office.at_recipient = lambda _: OK
        await bench.hasten()
        await bench.until_states(sent=1)
    assert len(bench.office.letters) == 1
    assert len(await bench.facts()) == 1


async def test_of_many_one_refused_mail_holds_up_no_other(bench: Bench) -> None:
    people = await bench.owe_many(40)
    refused = f"rosa-{people[0]}@example.org"
    bench.office.at_recipient = lambda address: "450 4.2.0 busy" if address == refused else OK
    async with bench.mailing(smtp_connections=1):
        await bench.until_states(sent=39, deferred=1)
    assert bench.office.connections == 1


async def test_a_refusal_for_good_fails_the_mail_tells_it_and_suppresses_the_address(bench: Bench) -> None:
    [person] = await bench.owe_many(1)
    bench.office.at_recipient = lambda _: "550 5.1.1 No such user"
    async with bench.mailing():
        await bench.until_states(failed=1)
        [fact] = await bench.facts()
        assert isinstance(fact, NotificationFailed)
        assert (fact.person_id, fact.reason, fact.version) == (person, "550", 1)
        bench.office.at_recipient = lambda _: OK
        await bench.owe(person)
        await bench.until_states(failed=2)
        assert [fact.reason for fact in await bench.facts() if isinstance(fact, NotificationFailed)] == [
            "550",
            "address-suppressed",
        ]
        await bench.know(person, version=2, email="rosa@example.net")
        await bench.owe(person)
        await bench.until_states(failed=2, sent=1)
    assert [letter.recipient for letter in bench.office.letters] == ["rosa@example.net"]


async def test_a_refused_text_fails_the_mail_but_not_the_address(bench: Bench) -> None:
    [person] = await bench.owe_many(1)
    bench.office.at_text = lambda _: "554 5.7.1 Looks like spam"
    async with bench.mailing():
        await bench.until_states(failed=1)
        bench.office.at_text = lambda _: OK
        await bench.owe(person)
        await bench.until_states(failed=1, sent=1)


async def test_while_the_server_is_away_mails_stay_owed_and_no_attempt_is_counted(bench: Bench) -> None:
    await bench.office.close()
    await bench.owe_many(30)
    async with bench.mailing():

        async def tried() -> bool:
            return bool(await bench.fetch("select 1 from pg_locks where locktype = 'advisory' and objsubid = 2"))

        await until(tried)
        await bench.until_states(owed=30)
        assert await bench.fetch("select distinct attempts, losses, version from notifications.deliveries") == [
            (0, 0, 0)
        ]
        await bench.office.open()
        await bench.until_states(sent=30)
    assert times(bench.office.letters) == [1] * 30


async def test_a_server_that_goes_away_in_between_and_comes_back_gets_every_mail_once(bench: Bench) -> None:
    await bench.owe_many(300)
    async with bench.mailing():
        await bench.office.received(50)
        await bench.office.close()
        await bench.office.open()
        for _ in range(3):  # in flight when it went: not taken, or perhaps taken
            await bench.hasten()
            await until(bench_is_idle(bench))
    assert await bench.states() == {"sent": 300}
    counts = Counter(letter.id for letter in bench.office.letters)
    assert len(counts) == 300
    assert len(bench.office.letters) <= 300 + 4


def bench_is_idle(bench: Bench) -> Callable[[], Awaitable[bool]]:
    async def idle() -> bool:
        return not await bench.fetch(
            "select 1 from notifications.deliveries where due_at <= now() or state = 'sending'"
        )

    return idle


async def test_a_server_that_refuses_us_as_sender_costs_no_attempt(bench: Bench) -> None:
    refused = asyncio.Event()

    def refuse(_: str) -> str:
        refused.set()
        return "530 5.7.0 Authentication required"

    bench.office.at_sender = refuse
    await bench.owe_many(10)
    async with bench.mailing(smtp_connections=2):
        await asyncio.wait_for(refused.wait(), 10)
        bench.office.at_sender = lambda _: OK
        await bench.until_hastened_states(sent=10)
    assert await bench.fetch("select distinct attempts from notifications.deliveries") == [(1,)]


async def test_a_server_that_is_closing_costs_no_attempt(bench: Bench) -> None:
    closing = iter(["421 4.3.2 Shutting down"] * 2)
    bench.office.at_recipient = lambda _: next(closing, OK)
    await bench.owe_many(10)
    async with bench.mailing(smtp_connections=2):
        await bench.until_hastened_states(sent=10)
    assert await bench.fetch("select distinct attempts from notifications.deliveries") == [(1,)]
    assert times(bench.office.letters) == [1] * 10


async def test_a_connection_lost_before_the_text_costs_no_attempt(bench: Bench) -> None:
    hanging_up = iter([None] * 3)
    bench.office.at_recipient = lambda _: next(hanging_up, OK)
    await bench.owe_many(10)
    async with bench.mailing(smtp_connections=2):
        await bench.until_hastened_states(sent=10)
    assert await bench.fetch("select distinct attempts, losses from notifications.deliveries") == [(1, 0)]
    assert times(bench.office.letters) == [1] * 10


async def test_a_connection_lost_after_the_text_leaves_it_unknown_and_it_is_resent_once_under_the_same_id(
    bench: Bench,
) -> None:
    bench.office.at_text = lambda _: None
    await bench.owe_many(1)
    async with bench.mailing():
        await bench.until_states(unknown=1)
        assert await bench.facts() == []
        bench.office.at_text = lambda _: OK
        await bench.until_hastened_states(sent=1)
    assert times(bench.office.letters) == [2]
    assert [type(fact) for fact in await bench.facts()] == [NotificationSent]


async def test_a_mail_lost_twice_after_the_text_is_left_to_the_team(bench: Bench) -> None:
    bench.office.at_text = lambda _: None
    await bench.owe_many(1)
    async with bench.mailing():
        await bench.until_states(unknown=1)
        await bench.hasten()

        async def over() -> bool:
            return await bench.fetch("select state, losses, due_at from notifications.deliveries") == [
                ("unknown", 2, None)
            ]

        await until(over)
    assert times(bench.office.letters) == [2]


class Silent(asyncio.Protocol):
    """A server that takes connections and says nothing."""

    def __init__(self, reached: asyncio.Event) -> None:
        self._reached = reached

    def connection_made(self, _transport: asyncio.BaseTransport) -> None:
        """Somebody waits for a greeting."""
        self._reached.set()


async def test_a_server_that_stands_still_is_given_up_in_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "_REPLY", 0.3)
    reached = asyncio.Event()
    silent = await asyncio.get_running_loop().create_server(lambda: Silent(reached), "127.0.0.1", 0)
    await bench.owe_many(1)
    async with bench.mailing(smtp_port=silent.sockets[0].getsockname()[1]):
        await asyncio.wait_for(reached.wait(), 10)
        await bench.until_states(owed=1)
    silent.close()
    assert await bench.fetch("select attempts from notifications.deliveries") == [(0,)]


async def test_a_server_that_stands_still_after_the_text_leaves_it_unknown(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "_VERDICT", 0.3)
    bench.office.answers.clear()
    await bench.owe_many(1)
    async with bench.mailing():
        await bench.until_states(unknown=1)
        bench.office.answers.set()
        await bench.until_hastened_states(sent=1)
    assert times(bench.office.letters) == [2]


async def test_of_two_mailers_at_once_no_mail_goes_twice(bench: Bench) -> None:
    async with bench.mailing(), bench.mailing():
        await bench.owe_many(200)
        await bench.owe_many(400)
        await bench.until_states(sent=600)
    assert times(bench.office.letters) == [1] * 600
    assert len(await bench.facts()) == 600


async def test_a_mailer_that_is_told_to_stop_finishes_what_is_in_flight_and_gives_back_the_rest(bench: Bench) -> None:
    await bench.owe_many(200)
    async with bench.mailing(smtp_connections=2):
        await bench.office.received(20)
    states = await bench.states()
    assert set(states) == {"sent", "owed"}
    assert times(bench.office.letters) == [1] * states["sent"]
    assert await bench.fetch("select 1 from notifications.deliveries where due_at > now()") == []
    async with bench.mailing():
        await bench.until_states(sent=200)
    assert times(bench.office.letters) == [1] * 200


async def test_what_a_killed_mailer_held_is_taken_over_at_once_and_at_most_what_was_in_flight_goes_twice(
    bench: Bench,
) -> None:
    await bench.owe_many(500)
    process = await _in_a_process_of_its_own(bench)
    await bench.office.received(100)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    async with bench.mailing():
        await bench.until_states(sent=500)
    counts = times(bench.office.letters)
    assert len(counts) == 500
    assert sum(counts) <= 500 + 2 * 4  # being sent, and sent but not noted, on each of four connections
    assert len(await bench.facts()) == 500


async def _in_a_process_of_its_own(bench: Bench) -> asyncio.subprocess.Process:
    settings = bench.installation.service_settings("notifications", smtp_port=bench.office.port)
    environment = {
        **os.environ,
        "PYTHONPATH": str(PROJECT),
        **{f"CONECTA_{name.upper()}": str(value) for name, value in settings.model_dump(mode="json").items()},
    }
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.notifications.mailer_process", cwd=PROJECT, env=environment
    )


async def test_mails_are_not_taken_over_while_their_mailer_lives_and_their_lease_lasts(bench: Bench) -> None:
    await bench.owe_many(2)
    session = await bench.database.dedicated()
    try:
        assert await store.live(session, mailer=77)
        async with bench.database.transaction() as tx:
            held = await store.claim(tx, mailer=77, limit=2)
            await tx.execute(
                "update notifications.deliveries set due_at = now() where delivery_id = $1", held[0].delivery_id
            )
        async with bench.mailing():
            await bench.until_states(sent=1, sending=1)
            assert bench.office.letters[0].id == f"<{held[0].delivery_id}@conecta.example>"
            await session.close()
            await bench.until_states(sent=2)
    finally:
        await session.close()


async def test_a_claim_that_a_mailer_never_learned_of_is_made_good(bench: Bench) -> None:
    person = uuid7()
    async with bench.mailing():
        await bench.owe(person)
        await bench.owe_many(1)
        await bench.until_states(owed=1, sent=1)
        await bench.fetch(
            """
            update notifications.deliveries d
               set state = 'sending', mailer = l.objid::int, due_at = now() + interval '5 minutes'
              from pg_locks l where d.state = 'owed' and l.locktype = 'advisory' and l.objsubid = 2
            returning 1
            """
        )
        await bench.know(person)
        await bench.until_states(sent=2)
    assert times(bench.office.letters) == [1, 1]


async def test_when_every_session_of_the_database_is_lost_no_mail_is(bench: Bench) -> None:
    await bench.owe_many(300)
    async with bench.mailing():
        for number in (50, 100, 150):
            await bench.office.received(number)
            await _end_all_sessions(bench)
        await until(bench_is_idle(bench))
        await bench.until_states(sent=300)
    counts = times(bench.office.letters)
    assert len(counts) == 300
    assert sum(counts) <= 300 + 3 * 2 * 4
    assert len(await bench.facts()) == 300


async def _end_all_sessions(bench: Bench) -> None:
    secrets = bench.installation.secrets
    connection = await asyncpg.connect(
        bench.installation.dsn("postgres"), user="postgres", password=secrets.password("postgres")
    )
    await connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'notifications'")
    await connection.close()


async def test_a_text_that_cannot_be_written_holds_up_no_other(bench: Bench) -> None:
    people = await bench.owe_many(5)
    await bench.owe(people[0], template=Template.AID_AWARDED)  # without an amount
    async with bench.mailing():
        await bench.until_states(sent=5, deferred=1)
    assert await bench.fetch("select reason from notifications.deliveries where state = 'deferred'") == [
        ("not-written",)
    ]


async def test_an_address_beyond_ascii_is_written_to_where_the_server_can(bench: Bench) -> None:
    person = uuid7()
    await bench.know(person, email="ñandú@example.org", given="Ñandú")
    await bench.owe(person)
    async with bench.mailing():
        await bench.until_states(sent=1)
    assert bench.office.letters[0].recipient == "ñandú@example.org"


async def test_an_address_beyond_ascii_fails_where_the_server_cannot(bench: Bench) -> None:
    bench.office.utf8 = False
    person = uuid7()
    await bench.know(person, email="ñandú@example.org")
    await bench.owe(person)
    async with bench.mailing():
        await bench.until_states(failed=1)
    [fact] = await bench.facts()
    assert isinstance(fact, NotificationFailed)
    assert fact.reason == "address-not-supported"


@pytest.mark.parametrize(
    "given", ["Ñusta", '"; DROP TABLE people; --', "<script>alert(1)</script>", "x\r\nBcc: all@example.org", "."]
)
async def test_a_mail_arrives_as_it_was_written_whatever_its_person_is_called(bench: Bench, given: str) -> None:
    person, place = uuid7(), meeting()
    await bench.know(person, given=given)
    async with bench.database.transaction() as tx:
        await subscribers.on_meeting_published(tx, [heard(place)])
        notice = Notice(
            fact_id=uuid7(), person_id=person, template=Template.REGISTRATION_CONFIRMED, meeting_id=place.meeting_id
        )
        await commands.owe(tx, [notice])
    async with bench.mailing():
        [letter] = await bench.office.received(1)
    plain = letter.message.get_body(("plain",))
    assert plain is not None
    assert plain.get_content().replace("\r\n", "\n").startswith(f"Hola, {' '.join(given.split())}:\n")
    assert letter.message["Subject"] == f"Tu inscripción está confirmada: {MEETING}"
    assert letter.message["Bcc"] is None
