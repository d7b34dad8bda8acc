"""nats-server under the supervisor: configured, durable, recovered, given other accounts while it runs."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client
from nats.errors import Error as NatsError

from deploy.embedded.nats import Nats, NatsConfigurationError, prepare_nats
from deploy.embedded.ports import free_port
from deploy.embedded.probes import http_get
from deploy.embedded.supervisor import Supervisor

SECRET = "secret"
ACCOUNTS = """
accounts {
  SYS { users: [ {user: sys, password: s} ] }
  APP { jetstream: enabled, users: [ {user: app, password: "%s"} ] }
}
system_account: SYS
"""


@asynccontextmanager
async def running(directory: Path, **settings: object) -> AsyncIterator[tuple[Supervisor, Nats]]:
    """A server on that directory, ready."""
    places = {"port": free_port(), "monitoring_port": free_port(), "accounts": ACCOUNTS % SECRET}
    server = prepare_nats(directory, **(places | settings))  # type: ignore[arg-type]
    async with Supervisor(handle_signals=False) as supervisor:
        await supervisor.launch(server.program())
        yield supervisor, server


@asynccontextmanager
async def connected(server: Nats, *, secret: str = SECRET) -> AsyncIterator[Client]:
    """A client of the account with JetStream; fails at the first refusal."""
    client = await nats.connect(
        server.url, user="app", password=secret, allow_reconnect=False, error_cb=_ignore, connect_timeout=5
    )
    yield client
    await client.close()


async def _ignore(_: Exception) -> None:
    """What is wrong is raised by the call as well."""


async def test_it_has_the_limits_and_the_durability_that_were_asked_for(tmp_path: Path) -> None:
    async with running(tmp_path / "nats", max_file_store=123_456_789, server_name="prueba") as (_, server):
        _, varz = await http_get(f"{server.monitoring_url}/varz")
        told = json.loads(varz)
        assert [told["server_name"], told["max_payload"], told["host"]] == ["prueba", 1024 * 1024, "127.0.0.1"]
        assert told["jetstream"]["config"]["max_storage"] == 123_456_789
        assert told["jetstream"]["config"]["sync_always"] is True


async def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    async with running(tmp_path / "nats") as (supervisor, server):
        async with connected(server) as client:
            await client.jetstream().add_stream(name="KEPT", subjects=["kept.>"])
            for number in range(20):
                await client.jetstream().publish(f"kept.{number}", b"x")
        await supervisor.kill("nats")
        await supervisor.wait_ready("nats")
        assert supervisor.restarts("nats") == 1
        async with connected(server) as client:
            assert (await client.jetstream().stream_info("KEPT")).state.messages == 20


async def test_a_restart_keeps_what_is_stored(tmp_path: Path) -> None:
    async with running(tmp_path / "nats", sync_interval="2m") as (_, server), connected(server) as client:
        await client.jetstream().add_stream(name="KEPT", subjects=["kept.>"])
        await client.jetstream().publish("kept.1", b"x")
    async with running(tmp_path / "nats") as (_, server), connected(server) as client:
        assert (await client.jetstream().stream_info("KEPT")).state.messages == 1


async def test_accounts_are_replaced_while_it_runs(tmp_path: Path) -> None:
    async with running(tmp_path / "nats") as (supervisor, server):
        before = supervisor.pid("nats")
        await server.reload_accounts(ACCOUNTS % "other", signal=lambda number: supervisor.signal("nats", number))
        async with connected(server, secret="other") as client:
            await client.flush()
        with pytest.raises(NatsError, match="Authorization Violation"):
            async with connected(server):
                pass
        assert [supervisor.pid("nats"), supervisor.restarts("nats")] == [before, 0]


async def test_accounts_that_nats_server_does_not_understand_change_nothing(tmp_path: Path) -> None:
    async with running(tmp_path / "nats") as (supervisor, server):
        with pytest.raises(NatsConfigurationError, match="Parse error"):
            await server.reload_accounts("accounts {", signal=lambda number: supervisor.signal("nats", number))
        assert (server.directory / "accounts.conf").read_text() == ACCOUNTS % SECRET
        async with connected(server) as client:
            await client.flush()


def test_accounts_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    server = prepare_nats(tmp_path / "nats", accounts=ACCOUNTS % SECRET, port=4222, monitoring_port=8222)
    assert {path.name: path.stat().st_mode & 0o777 for path in server.directory.iterdir()} == {
        "accounts.conf": 0o600,
        "nats-server.conf": 0o600,
    }
    assert SECRET not in server.config.read_text()
    assert SECRET not in " ".join(server.program().argv)


def test_a_configuration_that_nats_server_refuses_is_told_in_its_words(tmp_path: Path) -> None:
    with pytest.raises(NatsConfigurationError, match=r"^nats-server: Expected users field to be an array, got 7$"):
        prepare_nats(tmp_path / "nats", accounts="accounts { APP { users: 7 } }", port=4222, monitoring_port=8222)
    assert not (tmp_path / "nats" / "accounts.conf").exists()
