"""The worker that sends: claims mails that are due, sends them over a few lasting connections, notes what became of it.

| what happens                                    | what becomes of the mail                                    |
|-------------------------------------------------|-------------------------------------------------------------|
| the server takes it                             | sent, noted at once: a connection is at most one mail ahead  |
| it cannot be reached, or ends before the text   | owed as before, no attempt counted; tried with backoff       |
| it refuses for now (4xx), for good (5xx)        | deferred with backoff; failed, and its address suppressed    |
| the connection ends after the text              | unknown: resent once, with the same Message-ID               |
| this process dies                               | its lock is gone with its session: others take over at once  |
| the database is away                            | results are kept until it is back, nothing more is started   |
| the service is told to stop                     | mails in flight are finished and noted, the rest given back  |
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Sequence
from time import monotonic
from uuid import UUID

import asyncpg
from prometheus_client import Counter

from services.notifications import domain, store
from services.notifications.domain import Mail, Result, State
from services.notifications.rendering import Forms
from services.notifications.smtp import Line
from shared.contracts import Fact
from shared.contracts.notifications import NotificationFailed, NotificationSent
from shared.db import Database, Retry, is_outage
from shared.journal import Entry
from shared.log import logger
from shared.messaging.consumer import described
from shared.service import Context

log = logger(__name__)

MAILS = Counter("conecta_mails", "Mails that were tried, by what became of them", ("template", "state"))

_CLAIMED = 25  # mails claimed at once, per connection
_POLL = 1.0

Held = tuple[Mail, float]  # a mail, and until when it may be started


async def send_mails(context: Context) -> None:
    """Send what is owed until told to stop; what is in flight is finished."""
    await _Mailer(context).run()


class _Mailer:
    """Hands mails to connections one by one, and notes their results together."""

    def __init__(self, context: Context) -> None:
        settings = context.settings
        self._context = context
        self._presence = _Presence(context.database)
        forms = Forms(sender=settings.mail_from)
        self._lines = [
            Line(host=settings.smtp_host, port=settings.smtp_port, forms=forms, stopping=context.stopping)
            for _ in range(settings.smtp_connections)
        ]
        self._held: deque[Held] = deque()
        self._known: dict[UUID, Mail] = {}  # claimed and not noted yet
        self._turn = asyncio.Lock()
        self._results: asyncio.Queue[tuple[Result, asyncio.Future[None]] | None] = asyncio.Queue()
        self._looked_for_dead = -_POLL

    async def run(self) -> None:
        """Until told to stop."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep_notes())
                await asyncio.wait([group.create_task(self._work(line)) for line in self._lines])
                self._give_back_held()
                self._results.put_nowait(None)
        finally:
            await self._presence.end()

    async def _work(self, line: Line) -> None:
        """One mail after another over one connection, the result of each noted while the next is on its way."""
        noted: asyncio.Future[None] | None = None
        while await line.ready() and (held := await self._take()):
            mail, start_by = held
            result = await line.send(mail, start_by=start_by)
            if noted is not None:
                await noted
            noted = self._note(result)
            if all(one.troubled for one in self._lines):
                self._give_back_held()
        if noted is not None:
            await noted
        await line.close()

    async def _take(self) -> Held | None:
        """The next mail, as soon as there is one; None when told to stop."""
        async with self._turn:
            while not self._context.stopping.is_set():
                if self._presence.lost:
                    self._give_back_held()
                if self._held:
                    return self._held.popleft()
                await self._look_for_more()
            return None

    async def _look_for_more(self) -> None:
        self._context.news.clear()
        start_by = monotonic() + domain.START_WITHIN.total_seconds()
        try:
            mails = await self._claim()
        except Exception as error:
            if not is_outage(error):
                raise
            log.warning("mailer-waits", error=described(error))
            await _wait(self._context.stopping, _POLL)
            return
        self._held.extend((mail, start_by) for mail in mails)
        self._known.update((mail.delivery_id, mail) for mail in mails)
        if not mails:
            await _wait(self._context.news, _POLL)

    async def _claim(self) -> list[Mail]:
        mailer = await self._presence.number()
        async with self._context.database.transaction() as tx:
            if monotonic() - self._looked_for_dead >= _POLL:
                self._looked_for_dead = monotonic()
                if freed := await store.free_abandoned(tx, mailer=mailer, known=self._known):
                    log.warning("mails-of-a-dead-mailer", number=freed)
            return await store.claim(tx, mailer=mailer, limit=_CLAIMED * len(self._lines))

    def _give_back_held(self) -> None:
        while self._held:
            self._note(domain.given_back(self._held.popleft()[0]))

    def _note(self, result: Result) -> asyncio.Future[None]:
        noted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._results.put_nowait((result, noted))
        return noted

    async def _keep_notes(self) -> None:
        """Write down results as they come, all that are there in one transaction."""
        more = True
        while more:
            taken = [await self._results.get()]
            while not self._results.empty():
                taken.append(self._results.get_nowait())
            notes = [one for one in taken if one is not None]
            more = len(notes) == len(taken)
            await self._write([result for result, _ in notes])
            for _, noted in notes:
                noted.set_result(None)

    async def _write(self, results: Sequence[Result]) -> None:
        """Note results and the facts that they are, however long the database is away."""
        while results:
            try:
                async with self._context.database.transaction() as tx:
                    settled = await store.note_results(tx, results=results)
                    if suppressed := [one for one in results if one.suppress]:
                        await store.suppress_addresses(tx, results=suppressed)
                    await self._context.journal.append(tx, [Entry(_fact(one), one.fact_id) for one in settled])
                break
            except Exception as error:
                if not is_outage(error):
                    raise
                log.warning("mails-not-noted", number=len(results), error=described(error))
            await asyncio.sleep(_POLL * random.uniform(0.2, 1.0))  # noqa: S311 — jitter
        for mail in (one.mail for one in results):
            if self._known.get(mail.delivery_id) is mail:  # not claimed again since
                del self._known[mail.delivery_id]
        for one in (one for one in results if one.state is not State.OWED):
            MAILS.labels(one.mail.template, one.state).inc()
            log.info("mail", notification_id=str(one.mail.delivery_id), state=one.state, reason=one.reason)


class _Presence:
    """A session of the database whose lock says that this mailer lives: whoever dies loses it, and frees its mails."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._session: asyncpg.Connection[asyncpg.Record] | None = None
        self._number = 0

    @property
    def lost(self) -> bool:
        """Whether others may take this mailer for dead."""
        return self._session is not None and self._session.is_closed()

    async def number(self) -> int:
        """The number under which mails are claimed; a new one after the session was lost."""
        if self._session is None or self._session.is_closed():
            self._session = await self._database.dedicated()
            self._number = random.randrange(1, 2**31)  # noqa: S311 — no secret
            if not await store.live(self._session, mailer=self._number):
                await self.end()
                raise Retry
        return self._number

    async def end(self) -> None:
        """Say that this mailer is no more."""
        session, self._session = self._session, None
        if session is None:
            return
        try:
            await session.close(timeout=2)
        except Exception as error:
            if not is_outage(error):
                raise
            session.terminate()


def _fact(settled: store.Settled) -> Fact:
    state = {
        "version": settled.version,
        "notification_id": settled.delivery_id,
        "person_id": settled.person_id,
        "template": settled.template,
        "fact_id": settled.fact_id,
    }
    if settled.state is State.SENT:
        return NotificationSent.model_validate(state)
    return NotificationFailed.model_validate({**state, "reason": settled.reason})


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
