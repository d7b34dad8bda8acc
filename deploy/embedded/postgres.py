"""PostgreSQL 18 as a child process: makes the cluster, configures it, says when it is ready.

Roles, schemas and databases are provisioning's business. Layout below the given directory, which belongs to the
user that the server runs as: `cluster` (PGDATA) and `run` (the socket).
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGINT
from urllib.parse import quote, urlencode

import asyncpg

from deploy.embedded.datadir import write_private
from deploy.embedded.postgres_binaries import installation, major_version
from deploy.embedded.program import NotReadyError, Program
from deploy.embedded.system_user import SystemUser, identity, owner_of, unprivileged_user

SUPERUSER = "postgres"
SOCKET_PORT = 5432
LONGEST_SOCKET_PATH = 100  # the kernel's limit is 107 bytes, macOS's 103
STOP_SECONDS = 30.0
# Guaranteed at every start.
FIXED_SETTINGS = {
    "unix_socket_directories": "../run",
    "unix_socket_permissions": "0700",
    "cluster_name": "conecta",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
}
# Written into postgresql.conf when the cluster is made: an operator may change them there or by ALTER SYSTEM.
INITIAL_SETTINGS = {
    "max_connections": "100",
    "shared_buffers": "64MB",
    "max_wal_size": "1GB",
    "autovacuum": "on",
    "jit": "off",
    "idle_in_transaction_session_timeout": "30s",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_checkpoints": "off",
    "log_lock_waits": "on",
}


class PostgresError(Exception):
    """The cluster cannot be made or used; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Postgres:
    """A prepared cluster. `socket_directory` is what clients give as host."""

    directory: Path
    installed: Path
    user: SystemUser | None
    password: str = field(repr=False)
    socket_directory: Path
    port: int | None

    @property
    def cluster(self) -> Path:
        """PGDATA."""
        return self.directory / "cluster"

    def dsn(self, *, user: str = SUPERUSER, password: str | None = None, database: str = "postgres") -> str:
        """An address for asyncpg and libpq, over the Unix socket; the superuser's unless told otherwise."""
        secret = self.password if password is None else password
        place = urlencode({"host": str(self.socket_directory), "port": self.port or SOCKET_PORT})
        return f"postgresql://{quote(user, safe='')}:{quote(secret, safe='')}@/{quote(database, safe='')}?{place}"

    def program(self, *, name: str = "postgres") -> Program:
        """For the supervisor: fast shutdown on stop, and also (on Linux) if the supervisor is killed."""
        return Program(
            name=name,
            argv=self._command(),
            env=_environment(),
            cwd=self.cluster,
            user=self.user,
            prepare=self.clear_stale_locks,
            ready=self.ready,
            stop_signal=SIGINT,
            stop_grace=STOP_SECONDS,
            death_signal=SIGINT,
        )

    def _command(self) -> tuple[str, ...]:
        settings = FIXED_SETTINGS | {"listen_addresses": "127.0.0.1" if self.port else ""}
        settings["port"] = str(self.port or SOCKET_PORT)
        server = [str(self.installed / "bin" / "postgres"), "-D", _pgdata(self.cluster, self.user)]
        return (*server, *(f"--{name}={value}" for name, value in settings.items()))

    async def ready(self) -> None:
        """A probe: connects as superuser."""
        try:
            connection = await asyncpg.connect(self.dsn(), timeout=5)
        except (asyncpg.CannotConnectNowError, asyncpg.PostgresConnectionError) as error:
            raise NotReadyError(str(error)) from error
        await connection.close()

    def clear_stale_locks(self) -> None:
        """Remove what a killed server left if the process number it wrote down is another program's by now.

        PostgreSQL would take any living process of its user for its former self, and refuse to start. If the
        process is gone we touch nothing: PostgreSQL's own checks are better (surviving backends, shared memory).
        """
        lock = self.cluster / "postmaster.pid"
        if not lock.exists():
            return
        pid = lock.read_text().split("\n", 1)[0].strip()
        if pid.isdigit() and (not _lives(int(pid)) or _works_in(int(pid), self.cluster)):
            return
        lock.unlink()
        for socket in (self.directory / "run").glob(".s.PGSQL.*"):
            socket.unlink()


def prepare_postgres(directory: Path, *, password: str, port: int | None = None) -> Postgres:
    """Make the cluster if there is none (about 0.6 s, blocking); PostgresError if it cannot be used.

    `directory` is private to the cluster; its parent must exist. With a `port`, 127.0.0.1 is listened on as well.
    An existing cluster runs as whoever owns it, and its superuser must already have this password.
    """
    user = unprivileged_user()
    if directory.exists() and os.geteuid() == 0 and owner_of(directory).uid != 0:
        user = owner_of(directory)
    installed = installation(user)
    for path in (directory, directory / "run"):
        _private_directory(path, user)
    cluster = directory / "cluster"
    if not cluster.exists():
        _initdb(directory, installed=installed, user=user, password=password)
    _check_version(cluster, installed)
    return Postgres(
        directory=directory,
        installed=installed,
        user=user,
        password=password,
        socket_directory=_reachable(directory / "run", port=port),
        port=port,
    )


def _private_directory(path: Path, user: SystemUser | None) -> None:
    path.mkdir(mode=0o700, exist_ok=True)
    if user is not None:
        os.chown(path, user.uid, user.gid, follow_symlinks=False)


def _initdb(directory: Path, *, installed: Path, user: SystemUser | None, password: str) -> None:
    """Made beside and renamed, so that an interrupted initdb leaves no half cluster."""
    draft, secret = directory / "cluster.new", directory / "password.new"
    shutil.rmtree(draft, ignore_errors=True)
    _private_directory(draft, user)
    write_private(secret, password + "\n", owner=(user.uid, user.gid) if user else None)
    command = [str(installed / "bin" / "initdb"), "-D", _pgdata(draft, user), "-U", SUPERUSER]
    command += ["--pwfile=../password.new", "--auth=scram-sha-256", "--data-checksums", "--encoding=UTF8"]
    command += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    try:
        _run(command, cwd=draft, user=user)
    finally:
        secret.unlink()
    with (draft / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write("\n# Conecta's\n")
        file.writelines(f"{name} = '{value}'\n" for name, value in INITIAL_SETTINGS.items())
    draft.rename(directory / "cluster")


def _run(command: list[str], *, cwd: Path, user: SystemUser | None) -> None:
    result = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=cwd, env=_environment(), **identity(user)
    )
    if result.returncode != 0:
        raise PostgresError(f"initdb failed with status {result.returncode}:\n{result.stdout}{result.stderr}")


def _check_version(cluster: Path, installed: Path) -> None:
    version = cluster / "PG_VERSION"
    if not version.exists():
        raise PostgresError(f"{cluster} is not a PostgreSQL cluster: it has no PG_VERSION")
    made_by, have = version.read_text().strip(), major_version(installed)
    if made_by != have:
        raise PostgresError(
            f"{cluster} was made by PostgreSQL {made_by}, and this is PostgreSQL {have}: dump it with {made_by} and"
            f" load it into a new data directory, or install the version of Conecta that made it"
        )


def _reachable(run: Path, *, port: int | None) -> Path:
    """A path to the socket's directory that is short enough for a socket address: itself, or a link to it.

    The link lies in a directory with an unguessable name, so that nobody can put another in its place.
    """
    if len(os.fsencode(run / f".s.PGSQL.{port or SOCKET_PORT}")) <= LONGEST_SOCKET_PATH:
        return run
    # Beside the cluster's directory, not in it: what the server's user can write must not steer us.
    noted = run.parent.with_name(f"{run.parent.name}.socket")
    if noted.is_symlink():
        _forget(noted)
    short = Path(tempfile.mkdtemp(prefix="conecta-", dir=_short_place()))
    noted.symlink_to(short)
    (short / "pg").symlink_to(run)
    return short / "pg"


def _forget(noted: Path) -> None:
    """Remove the short directory of an earlier start, unless the machine's cleaning has."""
    short = noted.readlink()
    if short.is_dir():
        (short / "pg").unlink(missing_ok=True)
        short.rmdir()
    noted.unlink()


def _short_place() -> Path:
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR", "/nonexistent"))
    if len(str(runtime)) < 40 and os.access(runtime, os.W_OK):
        return runtime
    return Path("/tmp")  # noqa: S108 (the caller makes an unguessable name in it)


def _pgdata(path: Path, user: SystemUser | None) -> str:
    """What the server, started in PGDATA, is to call it.

    Run by root the server is another user, who can as a rule not reach the data directory: that is private to root.
    Nothing is opened up for it. A process may work in a directory whose parents it cannot enter, if it was put
    there before its user was changed; so PGDATA is /proc/self/cwd, and the socket is made in ../run.
    """
    return "/proc/self/cwd" if user is not None and sys.platform == "linux" else str(path)


def _environment() -> dict[str, str]:
    """Nothing of the caller's: no PGDATA, PGPORT or PGOPTIONS that would mislead it."""
    return {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _works_in(pid: int, directory: Path) -> bool:
    """Whether that process works in that directory, as every PostgreSQL process does in its PGDATA."""
    if not Path("/proc/self").exists():  # no way to tell: leave the decision to PostgreSQL
        return True
    try:
        return Path(f"/proc/{pid}/cwd").samefile(directory)
    except OSError:  # ended meanwhile, or another user's
        return False
