"""Starts programs in order, keeps them running, stops them in reverse order on one Ctrl-C or SIGTERM.

A second Ctrl-C kills them. That one program ends is no reason to stop the others: it is started again.
"""

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.embedded.keeper import Keeper
from deploy.embedded.output import Console, ProgramLog
from deploy.embedded.program import Program

STOPPING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    """Runs programs as long as its block lasts.

    async with Supervisor(logs=..., console=Console(sys.stderr)) as supervisor:
        await supervisor.launch(postgres, nats)
        await supervisor.launch(registration, aid_calls)
        await supervisor.forever()
    """

    def __init__(
        self,
        *,
        logs: Path | None = None,
        console: Console | None = None,
        inherit: Sequence[int] = (),
        handle_signals: bool = True,
    ) -> None:
        """`inherit`: file descriptors for every program (`DataDirectory.inherited`).

        With `handle_signals` a signal leaves the block from wherever it is; `interrupted` tells it afterwards.
        """
        self.interrupted = False
        self._logs = logs
        self._console = console
        self._inherit = inherit
        self._handles_signals = handle_signals
        self._stages: list[list[Keeper]] = []
        self._block: asyncio.Task[object] | None = None
        self._leaving = False

    async def __aenter__(self) -> Self:
        """Take over the signals."""
        self._block = asyncio.current_task()
        if self._handles_signals:
            for number in STOPPING_SIGNALS:
                asyncio.get_running_loop().add_signal_handler(number, self._on_signal)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Stop everything; leaving by a signal is not an error."""
        self._leaving = True
        try:
            await self._stop_all()
        finally:
            if self._handles_signals:
                for number in STOPPING_SIGNALS:
                    asyncio.get_running_loop().remove_signal_handler(number)
        if self.interrupted and self._block is not None and kind is asyncio.CancelledError:
            return self._block.uncancel() == 0
        return False

    async def launch(self, *programs: Program) -> None:
        """Start these together; returns when all are ready, raises StartError if one will not be.

        Programs that need others are launched by a later call; they are stopped before those.
        """
        if taken := {program.name for program in programs} & set(self._keepers()):
            raise ValueError(f"launched already: {', '.join(sorted(taken))}")
        stage = [self._keeper(program) for program in programs]
        self._stages.append(stage)
        await asyncio.gather(*(keeper.start() for keeper in stage))

    async def forever(self) -> None:
        """Until a signal comes, or a program is given up: then its StartError."""
        failures = {asyncio.create_task(keeper.wait_failed()): keeper for keeper in self._keepers().values()}
        try:
            done, _ = await asyncio.wait(failures, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in failures:
                task.cancel()
        raise failures[done.pop()].start_error()

    def pid(self, name: str) -> int | None:
        """The main process of a program; None while none runs."""
        child = self._keepers()[name].child
        return child.pid if child else None

    def restarts(self, name: str) -> int:
        """How often it was started again after it had ended by itself."""
        return self._keepers()[name].restarts

    def state(self, name: str) -> str:
        """Where it stands: starting, ready, waiting to start again, stopped, failed."""
        return self._keepers()[name].state.value

    def last_lines(self, name: str, count: int = 20) -> list[str]:
        """What it printed last."""
        return self._keepers()[name].log.last_lines(count)

    async def stop(self, name: str) -> None:
        """Stop one program until `start`."""
        await self._keepers()[name].stop()

    async def start(self, name: str) -> None:
        """Start a stopped program; returns when it is ready."""
        await self._keepers()[name].start()

    async def kill(self, name: str) -> None:
        """SIGKILL, as a crash would; it is started again. `wait_ready` tells when it is back."""
        await self._keepers()[name].kill()

    async def wait_ready(self, name: str) -> None:
        """Until it is ready; StartError if that takes longer than its `ready_timeout`."""
        await self._keepers()[name].wait_ready()

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send any signal to its main process (SIGHUP, SIGSTOP, SIGCONT)."""
        if child := self._keepers()[name].child:
            child.send(number)

    def kill_all(self) -> None:
        """SIGKILL to everything."""
        for keeper in self._keepers().values():
            keeper.kill_group()

    def _keepers(self) -> dict[str, Keeper]:
        return {keeper.program.name: keeper for stage in self._stages for keeper in stage}

    def _keeper(self, program: Program) -> Keeper:
        console = self._console if program.echo else None
        log = ProgramLog(program.name, directory=self._logs, console=console)
        return Keeper(program, log=log, inherit=self._inherit)

    async def _stop_all(self) -> None:
        try:
            for stage in reversed(self._stages):
                await asyncio.gather(*(keeper.stop() for keeper in stage))
        finally:  # also when this very stop is cancelled: nothing is left running
            self.kill_all()
            for keeper in self._keepers().values():
                keeper.log.close()

    def _on_signal(self) -> None:
        if self.interrupted:
            self.kill_all()
            return
        self.interrupted = True
        if self._console is not None:
            self._console.write("supervisor", "stopping; once more to kill")
        if self._block is not None and not self._leaving:
            self._block.cancel()
