"""What the supervisor is asked to run: one program, how to tell that it is ready, how to stop and restart it.

Data only; `child.py` runs a program once, `keeper.py` keeps it running.
"""

import random
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.embedded.system_user import SystemUser


class NotReadyError(Exception):
    """Raised by a probe while its program is not ready yet; the message says what is missing."""


@dataclass(frozen=True, kw_only=True)
class RestartPolicy:
    """Seconds before the next start: doubled with each failure in a row, forgotten after a healthy while."""

    first_delay: float = 0.2
    longest_delay: float = 30.0
    jitter: float = 0.2
    healthy_after: float = 30.0
    attempts_to_become_ready: int = 5

    def delay(self, failures: int) -> float:
        """The wait after that many failures in a row (from 1), give or take the jitter."""
        doubled: float = self.first_delay * 2.0 ** min(failures - 1, 30)
        return min(doubled, self.longest_delay) * random.uniform(1 - self.jitter, 1 + self.jitter)  # noqa: S311 (no secret)


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program to keep running.

    `ready` returns once the program can be used, and raises NotReadyError or OSError as long as it cannot;
    any other exception gives the program up. `prepare` runs before each start. `env` replaces the whole
    environment. `death_signal` is what the kernel sends (on Linux) if the supervisor itself is killed.
    `restart=None`: never. `echo`: its output is shown on the console as well as logged.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] | None = None
    cwd: Path | None = None
    user: SystemUser | None = None
    prepare: Callable[[], None] | None = None
    ready: Callable[[], Awaitable[None]] | None = None
    ready_timeout: float = 60.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_grace: float = 15.0
    death_signal: signal.Signals = signal.SIGKILL
    restart: RestartPolicy | None = field(default_factory=RestartPolicy)
    echo: bool = True
