"""`fanout-owed` and `fanout-sent`: one fact to 100,000 people: their mails owed, then mails sent to a sink in C.

Nobody subscribes to announcements yet: what is measured is the store's own function that owes mails, in one
transaction, with as many people known; and the mailer of the running service, its notes and its facts included.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from uuid import UUID

import aiosmtplib
import asyncpg
from uuid_utils.compat import uuid7

from bench.applications import open_call
from bench.figures import Figure, alone, at_least, at_most, compared
from bench.ground import MAIL_CONNECTIONS, Ground, in_own_loop, until
from bench.sink import sink
from deploy.embedded.ports import HOST
from services.notifications import store
from services.notifications.domain import Notice, Template

_AT_ONCE = 1000
_PEOPLE = """
    insert into notifications.people (person_id, version, given, family, email, language, erased)
    select uuidv7(), 1, 'Rosa', 'Quispe Mamani', 'persona' || n || '@correo.example', 'es', false
      from generate_series(1, $1::int) n
    """
_RAW = """
    insert into notifications.deliveries (delivery_id, fact_id, person_id, template, call_id, params)
    select uuidv7(), $1, person_id, $2, $3, $4::json from notifications.people
    """
_SENT = "select count(*) from notifications.deliveries where state = 'sent'"


async def fanout(ground: Ground, *, people: int, mails: int, rounds: int) -> list[Figure]:
    """Rows owed, and mails sent, each against the raw way."""
    call_id = await open_call(ground)
    heard = "select exists (select from notifications.calls where call_id = $1)"

    async def told() -> bool:
        return bool(await ground.superuser.fetchval(heard, call_id))

    await until(told, seconds=30, what="the call heard of")
    await ground.superuser.execute("truncate notifications.people, notifications.deliveries")
    await ground.superuser.execute(_PEOPLE, people)
    await ground.superuser.execute("analyze notifications.people")
    owed = await _owed(ground, call_id)
    return [owed, await _sent(ground, call_id, mails=mails, rounds=rounds)]


async def _owed(ground: Ground, call_id: UUID) -> Figure:
    keys = [row["person_id"] for row in await ground.superuser.fetch("select person_id from notifications.people")]
    began = monotonic()
    params = '{"application_id":"00000000-0000-0000-0000-000000000000","accepted_at":"2026-11-02T12:00:00+00:00"}'
    await ground.superuser.execute(_RAW, uuid7(), Template.APPLICATION_SUBMITTED.value, call_id, params, timeout=120)
    raw = monotonic() - began
    await ground.superuser.execute("truncate notifications.deliveries")
    began = monotonic()
    await _owe(ground, call_id, keys)
    return alone("fanout-owed", monotonic() - began, unit="s", bound=at_most(10), raw=raw)


async def _owe(ground: Ground, call_id: UUID, people: list[UUID]) -> None:
    """Owe these people a mail each because of one fact, as the service does."""
    connection = await asyncpg.connect(ground.service_dsn("notifications"))
    params = {"application_id": str(uuid7()), "accepted_at": "2026-11-02T12:00:00+00:00"}
    fact_id = uuid7()
    async with connection.transaction():
        for place in range(0, len(people), _AT_ONCE):
            await store.insert_deliveries(
                connection,
                notices=[
                    Notice(
                        fact_id=fact_id,
                        person_id=person,
                        template=Template.APPLICATION_SUBMITTED,
                        call_id=call_id,
                        params=params,
                    )
                    for person in people[place : place + _AT_ONCE]
                ],
            )
    await connection.close()


async def _sent(ground: Ground, call_id: UUID, *, mails: int, rounds: int) -> Figure:
    query = "select person_id from notifications.people limit $1"
    keys = [row["person_id"] for row in await ground.superuser.fetch(query, mails)]
    await ground.superuser.execute("truncate notifications.deliveries")
    found, limit = [], []
    async with sink(ground.mail_port):
        await _owe(ground, call_id, keys[:10])
        await until(lambda: _reached(ground, 10), seconds=60, what="the mailer at work")
        for _ in range(rounds):
            limit.append(await in_own_loop(lambda: _raw_mails(ground.mail_port, mails)))
            await ground.superuser.execute("truncate notifications.deliveries")
            await _owe(ground, call_id, keys)
            await until(lambda: _reached(ground, 1), seconds=60, what="the first mail sent")
            before, began = await ground.superuser.fetchval(_SENT), monotonic()
            await until(lambda: _reached(ground, mails), seconds=300, what="the last mail sent")
            found.append((mails - before) / (monotonic() - began))
    return compared("fanout-sent", found, limit, unit="1/s", bound=at_least(0.8))


async def _reached(ground: Ground, number: int) -> bool:
    return int(await ground.superuser.fetchval(_SENT)) >= number


async def _raw_mails(port: int, number: int) -> float:
    """Mails a second with aiosmtplib alone, over as many lasting connections as the mailer has."""
    body = "\r\n".join(["X" * 72] * 60)
    message = f"From: a@conecta.example\r\nTo: b@correo.example\r\nSubject: s\r\n\r\n{body}\r\n".encode()
    clients = [aiosmtplib.SMTP(hostname=HOST, port=port, start_tls=False) for _ in range(MAIL_CONNECTIONS)]
    for client in clients:
        await client.connect()
    left = iter(range(number))

    async def work(client: aiosmtplib.SMTP) -> None:
        for place in left:
            await client.sendmail("a@conecta.example", [f"persona{place}@correo.example"], message)

    began = monotonic()
    await asyncio.gather(*(work(client) for client in clients))
    seconds = monotonic() - began
    for client in clients:
        await client.quit()
    return number / seconds
