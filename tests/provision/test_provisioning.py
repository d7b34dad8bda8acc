"""Runs of provisioning on real servers: nothing to do, drift, damage, several at once, servers that come late."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.embedded.ports import free_port
from deploy.provision import Finding, ProvisionError, State, provision
from deploy.provision.administration import DATABASE, Connection, turn
from deploy.provision.secrets import Secrets
from shared.contracts import SERVICES
from shared.settings import ProvisionSettings
from tests.provision.conftest import Bus, Connect, LogIn
from tests.servers import Installation

Mended = Callable[[], Awaitable[list[Finding]]]
Config = dict[str, Any]


def changed(settings: ProvisionSettings, **changes: object) -> ProvisionSettings:
    return ProvisionSettings.model_validate({**settings.model_dump(), **changes})


async def api(bus: Bus, call: str, body: Config | None = None) -> Config:
    reply = await bus.client.request(f"$JS.API.{call}", json.dumps(body or {}).encode(), timeout=5)
    answer: Config = json.loads(reply.data)
    assert answer.get("error") is None
    return answer


async def config(bus: Bus, call: str) -> Config:
    found: Config = (await api(bus, call))["config"]
    return found


async def test_a_second_run_finds_everything_right(servers: Installation) -> None:
    report = await provision(servers.provision_settings())
    assert report.ok
    assert [finding for finding in report.findings if finding.state is not State.RIGHT] == []
    found = {finding.what for finding in report.findings}
    assert {f"stream {name}" for name in ("COMMANDS", "EVENTS", "PEOPLE", "PARKED", "RESOLVED")} <= found
    assert {f"consumer COMMANDS.{service}" for service in SERVICES} <= found
    assert {f"role {service}" for service in SERVICES} <= found


async def test_there_are_these_consumers_and_no_others(connect: Connect) -> None:
    provision_user = await connect("provision")
    names = {
        stream: sorted((await api(provision_user, f"CONSUMER.NAMES.{stream}"))["consumers"] or [])
        for stream in ("COMMANDS", "EVENTS", "PEOPLE", "PARKED", "RESOLVED")
    }
    assert names == {
        "COMMANDS": sorted(SERVICES),
        "EVENTS": ["aid_calls", "evaluation", "notifications"],
        "PEOPLE": ["notifications"],
        "PARKED": [],
        "RESOLVED": sorted(SERVICES),
    }
    ranking = await config(provision_user, "CONSUMER.INFO.EVENTS.aid_calls")
    assert ranking["filter_subjects"] == ["conecta.evt.evaluation.ranking-finalised.*"]


STREAM_DRIFT: list[tuple[str, Config, str]] = [
    ("COMMANDS", {"max_age": 10**9 * 3600 * 24}, "max_age is 86400000000000, not 604800000000000"),
    ("COMMANDS", {"discard": "old"}, "discard is 'old', not 'new'"),
    ("PARKED", {"allow_rollup_hdrs": True}, "allow_rollup_hdrs is True, not False"),
    ("COMMANDS", {"republish": None}, "republish is None, not {'src': 'conecta.cmd.>'"),
    ("COMMANDS", {"subjects": ["conecta.cmd.>", "more.>"]}, "subjects is ['conecta.cmd.>', 'more.>']"),
    ("EVENTS", {"allow_direct": False}, "allow_direct is False, not True"),
    ("PEOPLE", {"max_msgs_per_subject": 5}, "max_msgs_per_subject is 5, not 1"),
    ("PARKED", {"metadata": {"by": "hand"}}, "metadata is {'by': 'hand'}, not None"),
]


@pytest.mark.parametrize(("stream", "drift", "told"), STREAM_DRIFT, ids=lambda value: str(value)[:30])
async def test_a_stream_that_was_changed_is_mended(
    mended: Mended, connect: Connect, stream: str, drift: Config, told: str
) -> None:
    bus = await connect("provision")
    right = await config(bus, f"STREAM.INFO.{stream}")
    await api(bus, f"STREAM.UPDATE.{stream}", right | drift)
    [finding] = await mended()
    assert (finding.what, finding.state) == (f"stream {stream}", State.MENDED)
    assert finding.detail.startswith(told)
    assert await config(bus, f"STREAM.INFO.{stream}") == right


@pytest.mark.parametrize(
    ("drift", "told"),
    [
        ({"ack_wait": 30 * 10**9}, "ack_wait is 30000000000, not 10000000000"),
        ({"max_ack_pending": 10}, "max_ack_pending is 10, not 2048"),
        ({"max_deliver": 5}, "max_deliver is 5, not -1"),
        ({"filter_subjects": ["conecta.cmd.evaluation.none"]}, "filter_subjects is ['conecta.cmd.evaluation.none']"),
    ],
)
async def test_a_consumer_that_was_changed_is_mended(
    mended: Mended, connect: Connect, drift: Config, told: str
) -> None:
    bus = await connect("provision")
    right = await config(bus, "CONSUMER.INFO.COMMANDS.evaluation")
    body = {"stream_name": "COMMANDS", "config": right | drift}
    await api(bus, "CONSUMER.CREATE.COMMANDS.evaluation", body)
    [finding] = await mended()
    assert (finding.what, finding.state) == ("consumer COMMANDS.evaluation", State.MENDED)
    assert finding.detail.startswith(told)
    assert await config(bus, "CONSUMER.INFO.COMMANDS.evaluation") == right


async def test_a_consumer_that_was_deleted_is_made_again(mended: Mended, connect: Connect) -> None:
    bus = await connect("provision")
    right = await config(bus, "CONSUMER.INFO.EVENTS.notifications")
    await api(bus, "CONSUMER.DELETE.EVENTS.notifications")
    assert await mended() == [Finding("consumer EVENTS.notifications", State.CREATED)]
    assert await config(bus, "CONSUMER.INFO.EVENTS.notifications") == right


async def test_a_stream_that_was_deleted_is_made_again_with_its_consumers(mended: Mended, connect: Connect) -> None:
    bus = await connect("provision")
    await api(bus, "STREAM.DELETE.PEOPLE")
    assert await mended() == [
        Finding("stream PEOPLE", State.CREATED),
        Finding("consumer PEOPLE.notifications", State.CREATED),
    ]


async def test_what_cannot_be_changed_in_place_is_told_in_the_servers_words(
    servers: Installation, connect: Connect, mended: Mended
) -> None:
    bus = await connect("provision")
    right = await config(bus, "CONSUMER.INFO.COMMANDS.evaluation")
    await api(bus, "CONSUMER.DELETE.COMMANDS.evaluation")
    await api(
        bus,
        "CONSUMER.CREATE.COMMANDS.evaluation",
        {"stream_name": "COMMANDS", "config": right | {"deliver_policy": "new"}},
    )
    report = await provision(servers.provision_settings())
    assert not report.ok
    [finding] = [finding for finding in report.findings if finding.state is not State.RIGHT]
    assert finding == Finding(
        "consumer COMMANDS.evaluation",
        State.STUCK,
        "deliver_policy is 'new', not 'all' (deliver policy can not be updated)",
    )
    await api(bus, "CONSUMER.DELETE.COMMANDS.evaluation")
    assert await mended() == [Finding("consumer COMMANDS.evaluation", State.CREATED)]


async def test_a_stream_that_has_no_room_is_told_with_what_to_do(servers: Installation, mended: Mended) -> None:
    greedy = changed(servers.provision_settings(), events_max_bytes=1 << 60)
    report = await provision(greedy)
    [finding] = [finding for finding in report.findings if finding.state is State.STUCK]
    assert finding.what == "stream EVENTS"
    assert "lower CONECTA_COMMANDS_MAX_BYTES or CONECTA_EVENTS_MAX_BYTES" in finding.detail
    assert await mended() == []


FUTURE = "alter default privileges for role evaluation_owner in schema evaluation"
DATABASE_DRIFT = [
    ("grant update, truncate on registration.journal to registration", 'rights on table registration."journal"'),
    ("revoke insert on registration.journal from registration", 'rights on table registration."journal"'),
    ("grant select on aid_calls.journal to registration", 'rights on table aid_calls."journal"'),
    ("grant select on aid_calls.journal to public", 'rights on table aid_calls."journal"'),
    ("grant usage on schema aid_calls to registration", "rights on schema aid_calls"),
    ("grant create on schema registration to registration", "rights on schema registration"),
    ("grant create on schema public to public", "rights on schema public"),
    ("grant temporary on database conecta to public", "rights on database conecta"),
    ("revoke connect on database conecta from evaluation", "rights on database conecta"),
    (f"{FUTURE} revoke delete on tables from evaluation", "rights on future tables of evaluation"),
    (f"{FUTURE} grant usage on sequences to public", "rights on future sequences of evaluation"),
    ("alter schema evaluation owner to postgres", "schema evaluation"),
    ("alter role registration createdb", "role registration"),
    ("alter role registration connection limit 1", "role registration"),
    ("alter role registration_owner login", "role registration_owner"),
    ("grant aid_calls_owner to registration", "role registration"),
    ("alter role registration password 'other'", "password of registration"),
    ("alter role registration password null", "password of registration"),
    ("alter role registration in database conecta set statement_timeout = 0", "session settings of registration"),
    ("alter role registration in database conecta reset all", "session settings of registration"),
    ("alter role registration in database conecta set work_mem = '1GB'", "session settings of registration"),
]


@pytest.mark.parametrize(("statement", "what"), DATABASE_DRIFT, ids=[statement for statement, _ in DATABASE_DRIFT])
async def test_a_database_that_was_changed_is_mended(mended: Mended, log_in: LogIn, statement: str, what: str) -> None:
    await (await log_in("postgres")).execute(statement)
    assert {finding.what for finding in await mended()} == {what}


async def test_checking_tells_and_changes_nothing(servers: Installation, connect: Connect, mended: Mended) -> None:
    bus, settings = await connect("provision"), servers.provision_settings()
    assert (await provision(settings, check=True)).ok
    await api(bus, "CONSUMER.DELETE.COMMANDS.evaluation")
    for _ in range(2):
        report = await provision(settings, check=True)
        assert not report.ok
        assert [finding for finding in report.findings if finding.state is not State.RIGHT] == [
            Finding("consumer COMMANDS.evaluation", State.DRIFT, "missing")
        ]
    assert await mended() == [Finding("consumer COMMANDS.evaluation", State.CREATED)]


async def test_two_at_once_do_everything_once_between_them(
    servers: Installation, connect: Connect, log_in: LogIn
) -> None:
    superuser = await log_in("postgres")
    await superuser.execute("drop schema notifications cascade")
    await superuser.execute("drop owned by notifications, notifications_owner")
    await superuser.execute("drop role notifications, notifications_owner")
    await api(await connect("provision"), "STREAM.DELETE.PARKED")
    reports = await asyncio.gather(*(provision(servers.provision_settings()) for _ in range(3)))
    assert [report.ok for report in reports] == [True] * 3
    created = [what for report in reports for what in report.by(State.CREATED)]
    assert sorted(created) == sorted(set(created))
    expected = {"role notifications", "schema notifications", "password of notifications", "stream PARKED"}
    assert expected <= set(created)
    assert [len(report.by(State.RIGHT)) for report in reports].count(len(reports[0].findings)) == 2


async def until(connection: Connection, query: str) -> None:
    """Wait until a query of the database says true."""
    async with asyncio.timeout(10):
        while not await connection.fetchval(query):  # noqa: ASYNC110 — the event is in the server
            await asyncio.sleep(0.01)


async def test_one_waits_while_another_is_at_work(servers: Installation, log_in: LogIn) -> None:
    settings, superuser = servers.provision_settings(), await log_in("postgres")
    async with turn(settings, patience=5):
        waiting = asyncio.create_task(provision(settings))
        await until(superuser, "select true from pg_locks where locktype = 'advisory' and not granted")
        assert not waiting.done()
    assert (await waiting).ok


async def test_it_waits_for_a_bus_that_comes_up_later(servers: Installation) -> None:
    port = free_port()
    settings = changed(servers.provision_settings(), nats_urls=f"nats://127.0.0.1:{port}")
    async with forwarded(port, servers.nats_url, refused=3) as attempts:
        assert (await provision(settings, patience=20)).ok
    assert len(attempts) == 4


@asynccontextmanager
async def forwarded(port: int, url: str, *, refused: int) -> AsyncIterator[list[bool]]:
    """A TCP port of this machine that hangs up on the first callers and leads the next ones to the bus."""
    host, _, target = url.removeprefix("nats://").rpartition(":")
    attempts: list[bool] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        attempts.append(len(attempts) >= refused)
        if not attempts[-1]:
            writer.close()
            return
        far_reader, far_writer = await asyncio.open_connection(host, int(target))
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    async with await asyncio.start_server(serve, "127.0.0.1", port):
        yield attempts


async def test_a_bus_that_does_not_come_up_is_told(servers: Installation) -> None:
    settings = changed(servers.provision_settings(), nats_urls=f"nats://127.0.0.1:{free_port()}")
    with pytest.raises(ProvisionError, match=r"^no connection to nats://127\.0\.0\.1:\d+: "):
        await provision(settings, patience=0.5)


async def test_a_bus_that_does_not_know_us_is_told(servers: Installation, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.nk"
    stranger.write_text("SUALFGWTS2C2EU3A5R6IIDL5WKKI5KUCEXSDIZCATFRIEV3HCJ4WTA6MFA")
    settings = changed(servers.provision_settings(), nats_seed_file=stranger)
    with pytest.raises(ProvisionError, match=r"(?i)authorization violation"):
        await provision(settings, patience=1)


async def test_a_user_of_the_bus_without_the_right_is_told(servers: Installation) -> None:
    settings = changed(servers.provision_settings(), nats_seed_file=servers.secrets.seed_file("registration"))
    with pytest.raises(ProvisionError, match=r"(?i)permissions violation"):
        await provision(settings, patience=1)


async def test_a_database_that_does_not_come_up_is_told(servers: Installation) -> None:
    dsn = f"postgresql://postgres@127.0.0.1:{free_port()}/postgres"
    with pytest.raises(ProvisionError, match=r"^PostgreSQL does not answer: "):
        await provision(changed(servers.provision_settings(), postgres_dsn=dsn), patience=0.5)


async def test_a_wrong_password_is_told_at_once(servers: Installation, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("wrong")
    settings = changed(servers.provision_settings(), postgres_password_file=tmp_path / "wrong")
    async with asyncio.timeout(5):
        with pytest.raises(ProvisionError, match=r"^PostgreSQL refuses its superuser: "):
            await provision(settings)


async def test_a_missing_secret_is_told(servers: Installation, tmp_path: Path) -> None:
    with pytest.raises(ProvisionError, match=r"registration\.password is missing"):
        await provision(changed(servers.provision_settings(), secrets_dir=tmp_path))


async def test_a_password_that_was_replaced_reaches_the_database(
    servers: Installation, log_in: LogIn, mended: Mended
) -> None:
    file = Secrets(servers.secrets.directory).password_file("evaluation")
    before = file.read_text()
    try:
        file.write_text("replaced\n")
        assert [finding.what for finding in await mended()] == ["password of evaluation"]
        assert await (await log_in("evaluation")).fetchval("select current_database()") == DATABASE
    finally:
        file.write_text(before)
