"""One run of one program: spawned in a process group of its own, its output read, its end awaited.

Nothing is left behind: when the main process ends, what remains of its group is killed, and if the supervisor
itself is killed, the kernel (on Linux) sends the program its `death_signal`. Needs asyncio's own event loop:
uvloop cannot start a process as another user.
"""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Sequence

from deploy.embedded.output import ProgramLog
from deploy.embedded.program import Program
from deploy.embedded.system_user import identity

PR_SET_PDEATHSIG = 1
LAST_WORDS_SECONDS = 2.0
# Loaded before any fork: the child may only call it.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class Child:
    """A running process of a program, from `spawn` to `wait`."""

    def __init__(self, program: Program, process: asyncio.subprocess.Process, output: asyncio.Task[None]) -> None:
        """Made by `spawn`."""
        self._program = program
        self._process = process
        self._output = output

    @classmethod
    async def spawn(cls, program: Program, *, log: ProgramLog, inherit: Sequence[int] = ()) -> "Child":
        """Start it; OSError if it cannot be started. `inherit`: file descriptors that it keeps open."""
        reading, writing = os.pipe()
        try:
            process = await _start(program, output=writing, inherit=inherit)
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        output = asyncio.create_task(_pump(reading, log), name=f"output of {program.name}")
        return cls(program, process, output)

    @property
    def pid(self) -> int:
        """The main process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the main process has not ended."""
        return self._process.returncode is None

    def send(self, number: signal.Signals) -> None:
        """A signal to the main process alone; nothing happens if it has ended."""
        if self.alive:
            self._process.send_signal(number)

    def kill_group(self) -> None:
        """SIGKILL to every process of its group, whether or not the main one lives."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:  # the usual end: none is left
            return

    async def wait(self) -> int:
        """Until the main process has ended and its last words are read; its status, negative for a signal."""
        status = await self._process.wait()
        self.kill_group()
        # A process that left the group (PostgreSQL's backends do) may still hold the pipe for a moment.
        await asyncio.wait([self._output], timeout=LAST_WORDS_SECONDS)
        self._output.cancel()
        return status

    async def stop(self) -> None:
        """Ask it to stop, kill it after its grace; returns when the main process has ended."""
        self.send(self._program.stop_signal)
        try:
            await asyncio.wait_for(self._process.wait(), self._program.stop_grace)
        except TimeoutError:
            self.kill_group()
            await self._process.wait()


def describe_status(status: int) -> str:
    """An exit status in words."""
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


async def _start(program: Program, *, output: int, inherit: Sequence[int]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *program.argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env=program.env,
        # Changed into before the user is: a directory below one that this user cannot enter works.
        cwd=program.cwd,
        umask=0o077,
        process_group=0,
        pass_fds=tuple(inherit),
        preexec_fn=_follow_into_death(program.death_signal),
        **identity(program.user),
    )


def _follow_into_death(number: signal.Signals) -> Callable[[], None] | None:
    """Runs in the child after its user is changed, which would clear the setting."""
    if _LIBC is None:
        return None
    prctl, supervisor = _LIBC.prctl, os.getpid()

    def ask_kernel() -> None:
        prctl(PR_SET_PDEATHSIG, int(number))
        if os.getppid() != supervisor:  # killed before we had asked
            os.kill(os.getpid(), signal.SIGKILL)

    return ask_kernel


async def _pump(reading: int, log: ProgramLog) -> None:
    """Read the pipe to its end."""
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    loop = asyncio.get_running_loop()
    pipe = os.fdopen(reading, "rb", buffering=0)  # closed with the transport
    transport, _ = await loop.connect_read_pipe(lambda: protocol, pipe)
    try:
        while data := await reader.read(65536):
            log.feed(data)
    finally:
        transport.close()
        log.end_line()
