"""`conecta lag` on real servers: what waits is counted, what is away is named."""

from __future__ import annotations

from pathlib import Path

from uuid_utils.compat import uuid7

from deploy.operate.lag import measure
from deploy.operate.tables import age, lag_tables
from shared.contracts import SERVICES
from shared.contracts.aid_calls import WithdrawApplication
from shared.contracts.people import Role
from tests.conftest import Token
from tests.servers import Installation
from tests.shared.conftest import Bench
from tests.shared.test_commands import withdraw


async def test_commands_that_nobody_takes_and_facts_that_nobody_publishes_are_counted(
    bench: Bench, token: Token
) -> None:
    settings = bench.installation.operator_settings()
    actor = token(uuid7(), Role.PARTICIPANT)
    before = {one.stream: one for one in (await measure(settings)).streams}
    for _ in range(3):
        await bench.client.send(WithdrawApplication(application_id=uuid7()), actor=actor)
    waiting = await measure(settings)
    consumer = next(one for one in waiting.consumers if (one.stream, one.consumer) == ("COMMANDS", "aid_calls"))
    assert (consumer.pending, consumer.unacknowledged) == (3, 0)
    assert consumer.oldest_seconds is not None
    assert 0 <= consumer.oldest_seconds < 30
    stream = next(one for one in waiting.streams if one.stream == "COMMANDS")
    assert stream.last == before["COMMANDS"].last + 3
    assert stream.full is not None
    async with bench.consuming({WithdrawApplication: withdraw}):
        command = WithdrawApplication(application_id=uuid7())
        assert (await bench.client.execute(command, actor=actor)).applied
    told = await measure(settings)
    assert next(one for one in told.consumers if one.consumer == "aid_calls" and one.stream == "COMMANDS").pending == 0
    assert [(one.what, one.number) for one in told.journals if one.number] == [("aid_calls", 4)]
    assert told.mails is not None
    assert (told.mails.number, told.away) == (0, {})


async def test_a_database_that_is_away_is_named_and_the_bus_is_told_all_the_same(
    installation: Installation, tmp_path: Path
) -> None:
    nowhere = f"postgresql://postgres@/postgres?host={tmp_path}&port=5432"
    found = await measure(installation.operator_settings(postgres_dsn=nowhere))
    assert sorted(found.away) == sorted(f"schema {service}" for service in SERVICES)
    assert len(found.streams) == 5
    assert len(list(lag_tables(found))) == 3


async def test_a_bus_that_is_away_is_named_and_the_journals_are_told_all_the_same(installation: Installation) -> None:
    found = await measure(installation.operator_settings(nats_urls="nats://127.0.0.1:1"))
    assert list(found.away) == ["bus"]
    assert [one.what for one in found.journals] == list(SERVICES)


def test_ages_are_told_in_two_units() -> None:
    assert [age(seconds) for seconds in (None, 0.25, 61, 7300, 90000)] == [
        "–",
        "0.2 s",
        "1 min 1 s",
        "2 h 1 min",
        "1 d 1 h",
    ]
