"""What `make test` runs of the faults: the worst kills in a row, and proof that the invariants would notice."""

from __future__ import annotations

import shutil

import pytest

from tests.faults.case import suffer
from tests.faults.ground import Ground
from tests.faults.invariants import violations
from tests.faults.season import Season
from tests.faults.test_kills import IN_FLIGHT


@pytest.mark.slow
async def test_services_servers_and_mailer_are_killed_one_after_the_other(ground: Ground, seed: int) -> None:
    async def kills(ground: Ground, _: Season) -> None:
        supervisor = ground.stack.supervisor
        await ground.orders.die("registration", "after-commit")
        await ground.orders.die("aid_calls", "published")
        await supervisor.kill("notifications")
        for server in ("postgres", "nats"):
            await supervisor.kill(server)
            await supervisor.wait_ready(server)

    victims = {"registration", "aid_calls", "notifications", "postgres", "nats"}
    await suffer(ground, "kills in a row", kills, seed=seed, victims=victims, resent=IN_FLIGHT, open_for=15, within=40)


# What a fault could have done, and how to undo it.
SABOTAGE = {
    "a state without its outcome": (
        "update aid_calls.commands set outcome = replace(outcome::text, '\"applied\"', '\"apply\"')::json",
        "update aid_calls.commands set outcome = replace(outcome::text, '\"apply\"', '\"applied\"')::json",
    ),
    "a place too many": (
        "update registration.meetings set capacity = capacity + 1",
        "update registration.meetings set capacity = capacity - 1",
    ),
    "a change without its fact": (
        "update aid_calls.applications set version = version + 1",
        "update aid_calls.applications set version = version - 1",
    ),
    "a fact that says something else": (
        "update evaluation.journal set body = (body::text || ' ')::json where body is not null",
        "update evaluation.journal set body = left(body::text, -1)::json where body is not null",
    ),
    "a projection that is behind": (
        "update evaluation.applications set version = version - 1",
        "update evaluation.applications set version = version + 1",
    ),
    "a person who is not who they are": (
        "update notifications.people set given = given || 'x'",
        "update notifications.people set given = left(given, -1)",
    ),
    "a mail that was not sent": (
        "update notifications.deliveries set state = 'failed'",
        "update notifications.deliveries set state = 'sent'",
    ),
    "money from nowhere": (
        "update aid_calls.applications set amount = amount * 2 where amount is not null",
        "update aid_calls.applications set amount = amount / 2 where amount is not null",
    ),
}


@pytest.mark.slow
async def test_the_invariants_notice_what_a_fault_could_have_done(ground: Ground) -> None:
    if not ground.seasons:
        pytest.skip("nothing has happened on this system yet")
    assert await violations(ground) == []
    unnoticed = []
    for name, (damage, repair) in SABOTAGE.items():
        async with ground.database() as database:
            await database.execute(damage)
            if not await violations(ground):
                unnoticed.append(name)
            await database.execute(repair)
    mail = next((ground.stack.directory / "mails").glob("*.eml"))
    ground.resent = 0
    for number in range(IN_FLIGHT + 1):
        shutil.copy(mail, mail.with_stem(f"{mail.stem.partition('-')[0]}-copy{number}"))
    if not any("sent again" in one for one in await violations(ground)):
        unnoticed.append("a mail that was sent twice")
    ground.spoiled = True
    assert unnoticed == []
