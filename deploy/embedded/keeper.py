"""Keeps one program running: starts it, watches until it is ready, starts it again after it ended.

Before its first readiness a program gets a few attempts; afterwards it is restarted for ever, with growing delays.
"""

import asyncio
import signal
import time
from collections.abc import Sequence
from enum import Enum

from deploy.embedded.child import Child, describe_status
from deploy.embedded.output import ProgramLog
from deploy.embedded.program import NotReadyError, Program, RestartPolicy

PROBE_INTERVAL = 0.05
PROBE_TIMEOUT = 10.0


class State(Enum):
    """Where a kept program stands."""

    STARTING = "starting"
    READY = "ready"
    WAITING = "waiting to start again"
    STOPPED = "stopped"
    FAILED = "failed"


class StartError(Exception):
    """A program is not and will not become ready; the message ends with the last lines that it printed."""


class Keeper:
    """One program, from `start` to `stop`, as often as one likes."""

    def __init__(self, program: Program, *, log: ProgramLog, inherit: Sequence[int] = ()) -> None:
        """Start nothing yet."""
        self.program = program
        self.log = log
        self.state = State.STOPPED
        self.restarts = 0
        self._inherit = inherit
        self._changed = asyncio.Condition()
        self._stopping = asyncio.Event()
        self._child: Child | None = None
        self._task: asyncio.Task[None] | None = None
        self._reason = "was not started"
        self._error: Exception | None = None

    @property
    def child(self) -> Child | None:
        """Its process, if one runs."""
        return self._child if self._child is not None and self._child.alive else None

    async def start(self) -> None:
        """Start and keep it; returns when it is ready, raises StartError if it will not be."""
        if self._task is None or self._task.done():
            self._stopping.clear()
            await self._enter(State.STARTING)
            self._task = asyncio.create_task(self._keep(), name=f"keeper of {self.program.name}")
        await self.wait_ready()

    async def wait_ready(self) -> None:
        """Until it is ready (again); StartError if that takes longer than `ready_timeout` or is given up."""
        try:
            async with asyncio.timeout(self.program.ready_timeout):
                await self._until(State.READY, State.STOPPED, State.FAILED)
        except TimeoutError:
            raise self._error_that(f"is not ready after {self.program.ready_timeout:g} s: {self._reason}") from None
        if self.state is not State.READY:
            raise self.start_error()

    async def wait_failed(self) -> None:
        """Until it is given up."""
        await self._until(State.FAILED)

    async def stop(self) -> None:
        """Stop it and do not start it again."""
        self._stopping.set()
        if self._child is not None:
            await self._child.stop()
        if self._task is not None:
            await asyncio.wait([self._task])

    async def kill(self) -> None:
        """SIGKILL to its main process; returns when that has ended and the program no longer counts as ready."""
        if (child := self.child) is None:
            return
        child.send(signal.SIGKILL)
        async with self._changed:
            await self._changed.wait_for(lambda: self._child is not child)

    def kill_group(self) -> None:
        """SIGKILL to every process of it; it is not started again."""
        self._stopping.set()
        if self._child is not None:
            self._child.kill_group()

    def start_error(self) -> StartError:
        """Why it was given up, with its last words."""
        return self._error_that(self._reason)

    def _error_that(self, reason: str) -> StartError:
        last = "".join(f"\n    {line}" for line in self.log.last_lines())
        error = StartError(f"{self.program.name} {reason}{last and '; its last lines:'}{last}")
        error.__cause__ = self._error
        return error

    async def _keep(self) -> None:
        try:
            given_up = await self._run_again_and_again()
        except Exception as error:  # noqa: BLE001 (kept for whoever waits for readiness or failure)
            self._error = error
            self._reason = f"failed with {type(error).__name__}: {error}"
            given_up = True
        self.log.note(self._reason)
        await self._enter(State.FAILED if given_up else State.STOPPED)

    async def _run_again_and_again(self) -> bool:
        """Returns, when it is over, whether it was given up (as opposed to stopped, or not to be restarted)."""
        failures = 0
        ever_ready = False
        while True:
            started = time.monotonic()
            ever_ready = await self._run_once() or ever_ready
            policy = self.program.restart
            if self._stopping.is_set() or policy is None:
                return not ever_ready and not self._stopping.is_set()
            failures = 1 if time.monotonic() - started > policy.healthy_after else failures + 1
            if not ever_ready and failures >= policy.attempts_to_become_ready:
                return True
            if await self._stopped_while_waiting(policy, failures):
                return False
            self.restarts += 1

    async def _run_once(self) -> bool:
        """One run from start to end; whether it became ready."""
        await self._enter(State.STARTING)
        self._reason = "was started and has not answered yet"
        try:
            if self.program.prepare is not None:
                self.program.prepare()
            self._child = await Child.spawn(self.program, log=self.log, inherit=self._inherit)
        except OSError as error:
            self._reason = f"cannot be started: {error}"
            return False
        try:
            if self._stopping.is_set():  # asked while it was being started
                return False
            return await self._watch(self._child)
        finally:
            await self._child.stop()
            self._child.kill_group()
            self._child = None

    async def _watch(self, child: Child) -> bool:
        ended = asyncio.create_task(child.wait())
        ready = asyncio.create_task(self._become_ready())
        try:
            await asyncio.wait({ended, ready}, return_when=asyncio.FIRST_COMPLETED)
            became_ready = ready.done() and ready.result() is None
            status = await ended
        finally:
            ready.cancel()
            ended.cancel()
        asked = " as asked" if self._stopping.is_set() else ""
        self._reason = f"ended{asked}: {describe_status(status)}"
        return became_ready

    async def _become_ready(self) -> None:
        while self.program.ready is not None:
            try:
                await asyncio.wait_for(self.program.ready(), PROBE_TIMEOUT)
                break
            except (NotReadyError, OSError) as error:  # asyncio's TimeoutError is an OSError
                self._reason = str(error) or type(error).__name__
            await asyncio.sleep(PROBE_INTERVAL)
        await self._enter(State.READY)

    async def _stopped_while_waiting(self, policy: RestartPolicy, failures: int) -> bool:
        delay = policy.delay(failures)
        self.log.note(f"{self._reason}; starts again in {delay:.1f} s")
        await self._enter(State.WAITING)
        try:
            await asyncio.wait_for(self._stopping.wait(), delay)
        except TimeoutError:
            return False
        return True

    async def _enter(self, state: State) -> None:
        async with self._changed:
            self.state = state
            self._changed.notify_all()

    async def _until(self, *states: State) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self.state in states)
