"""The supervisor with real child processes: order, readiness, restarts, stopping, and what a killed one leaves."""

import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from itertools import pairwise
from pathlib import Path

import pytest

from deploy.embedded.keeper import StartError
from deploy.embedded.output import Console
from deploy.embedded.program import NotReadyError, Program, RestartPolicy
from deploy.embedded.supervisor import Supervisor

Until = Callable[..., Awaitable[None]]
Lives = Callable[[int], bool]
QUICK = RestartPolicy(first_delay=0.05, longest_delay=0.4, jitter=0, attempts_to_become_ready=3)


def shell(name: str, script: str, **settings: object) -> Program:
    """A program that is a shell script."""
    return Program(name=name, argv=("/bin/sh", "-c", script), restart=QUICK, **settings)  # type: ignore[arg-type]


def file_exists(path: Path) -> Callable[[], Awaitable[None]]:
    """A probe that waits for a file."""

    async def probe() -> None:
        if not path.exists():
            raise NotReadyError(f"{path.name} is missing")

    return probe


async def test_programs_start_in_order_each_when_the_earlier_are_ready(tmp_path: Path) -> None:
    """The second finds what the first made before it said that it was ready."""
    first = shell("first", f"sleep 0.2; touch {tmp_path}/up; exec sleep 60", ready=file_exists(tmp_path / "up"))
    second = shell(
        "second", f"test -e {tmp_path}/up && touch {tmp_path}/seen; exec sleep 60", ready=file_exists(tmp_path / "seen")
    )
    async with Supervisor(handle_signals=False) as supervisor:
        await supervisor.launch(first)
        await supervisor.launch(second)
        assert [supervisor.state("first"), supervisor.state("second")] == ["ready", "ready"]


async def test_programs_stop_in_reverse_order(tmp_path: Path) -> None:
    """Each writes its name when it is told to stop."""
    note = "trap 'echo {0} >> {1}; exit 0' TERM; touch {2}; while :; do sleep 0.02; done"
    async with Supervisor(handle_signals=False) as supervisor:
        for name in ("postgres", "nats", "services"):
            trapped = tmp_path / f"{name}-trapped"
            script = note.format(name, tmp_path / "stopped", trapped)
            await supervisor.launch(shell(name, script, ready=file_exists(trapped)))
    assert (tmp_path / "stopped").read_text().split() == ["services", "nats", "postgres"]


async def test_a_program_that_does_not_become_ready_is_named_with_its_last_lines() -> None:
    """The error is what an operator sees."""

    async def never() -> None:
        raise NotReadyError("the moon is missing")

    program = shell("stubborn", "echo I need the moon; exec sleep 60", ready=never, ready_timeout=0.3)
    with pytest.raises(StartError) as caught:
        async with Supervisor(handle_signals=False) as supervisor:
            await supervisor.launch(program)
    assert str(caught.value) == (
        "stubborn is not ready after 0.3 s: the moon is missing; its last lines:\n    I need the moon"
    )


async def test_a_program_that_ends_at_every_start_is_given_up_with_its_last_lines() -> None:
    """Three attempts, then the reason."""

    async def never() -> None:
        raise NotReadyError("no answer")

    with pytest.raises(StartError) as caught:
        async with Supervisor(handle_signals=False) as supervisor:
            await supervisor.launch(shell("broken", "echo cannot bind; exit 3", ready=never))
    assert "broken ended: exit status 3" in str(caught.value)
    assert str(caught.value).count("    cannot bind") == 3


async def test_a_program_that_does_not_exist_is_given_up() -> None:
    """As it never will."""
    with pytest.raises(StartError, match=r"absent cannot be started: .*No such file"):
        async with Supervisor(handle_signals=False) as supervisor:
            await supervisor.launch(Program(name="absent", argv=("/no/such/program",), restart=QUICK))


async def test_an_unexpected_error_of_a_probe_gives_the_program_up_at_once() -> None:
    """A wrong password does not become right by waiting."""

    async def wrong() -> None:
        raise ValueError("wrong password")

    started = time.monotonic()
    with pytest.raises(StartError, match="guarded failed with ValueError: wrong password"):
        async with Supervisor(handle_signals=False) as supervisor:
            await supervisor.launch(shell("guarded", "exec sleep 60", ready=wrong))
    assert time.monotonic() - started < 5


async def test_a_killed_program_is_started_again_and_counted() -> None:
    """With another process, and the neighbour untouched."""
    async with Supervisor(handle_signals=False) as supervisor:
        await supervisor.launch(shell("a", "exec sleep 60"), shell("b", "exec sleep 60"))
        before, neighbour = supervisor.pid("a"), supervisor.pid("b")
        await supervisor.kill("a")
        await supervisor.wait_ready("a")
        assert supervisor.pid("a") not in (None, before)
        assert [supervisor.restarts("a"), supervisor.restarts("b")] == [1, 0]
        assert supervisor.pid("b") == neighbour


async def test_restarts_wait_longer_each_time(tmp_path: Path, until: Until) -> None:
    """0.05, 0.1, 0.2 s, and then 0.4 s for ever."""
    times = tmp_path / "times"
    async with Supervisor(handle_signals=False) as supervisor:
        await supervisor.launch(shell("flapping", f"date +%s.%N >> {times}; sleep 0.03", ready=file_exists(times)))
        await until(lambda: supervisor.restarts("flapping") == 4)
    starts = [float(line) for line in times.read_text().split()]
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    assert [gap >= wait for gap, wait in zip(gaps, (0.05, 0.1, 0.2, 0.4), strict=False)] == [True] * len(gaps)


def test_the_wait_before_a_restart_is_doubled_up_to_a_limit() -> None:
    """Without jitter the figures are exact; with it they stay within a fifth."""
    exact = RestartPolicy(jitter=0)
    assert [exact.delay(n) for n in (1, 2, 3, 4, 8, 9, 1000)] == [0.2, 0.4, 0.8, 1.6, 25.6, 30.0, 30.0]
    assert {0.16 <= RestartPolicy().delay(1) <= 0.24 for _ in range(200)} == {True}


async def test_a_healthy_while_resets_the_wait(until: Until) -> None:
    """Failing after each healthy while, it never waits longer than at first."""
    policy = RestartPolicy(first_delay=0.01, longest_delay=60, jitter=0, healthy_after=0.05)
    program = Program(name="long", argv=("/bin/sh", "-c", "sleep 0.1"), restart=policy)
    async with Supervisor(handle_signals=False) as supervisor:
        await supervisor.launch(program)
        await until(lambda: supervisor.restarts("long") >= 6)  # a doubled wait would be 0.32 s by now
        waits = [line for line in supervisor.last_lines("long", 40) if "starts again" in line]
    assert {line.rsplit("in ", 1)[1] for line in waits} == {"0.0 s"}


async def test_a_stopped_program_stays_stopped_until_it_is_started() -> None:
    """As a test of faults needs it."""
    async with Supervisor(handle_signals=False) as supervisor:
        await supervisor.launch(shell("a", "exec sleep 60"))
        await supervisor.stop("a")
        assert [supervisor.pid("a"), supervisor.state("a"), supervisor.restarts("a")] == [None, "stopped", 0]
        await supervisor.start("a")
        assert supervisor.pid("a") is not None


async def test_a_program_that_ignores_the_request_to_stop_is_killed_with_its_children(
    tmp_path: Path, until: Until, lives: Lives
) -> None:
    """After its grace; the child in its process group goes with it."""
    script = f"trap '' TERM; sleep 60 & echo $! > {tmp_path}/grandchild; touch {tmp_path}/up; while :; do sleep 1; done"
    async with Supervisor(handle_signals=False) as supervisor:
        program = shell("deaf", script, ready=file_exists(tmp_path / "up"), stop_grace=0.2)
        await supervisor.launch(program)
        main = supervisor.pid("deaf")
    assert main is not None
    grandchild = int((tmp_path / "grandchild").read_text())
    await until(lambda: not lives(main) and not lives(grandchild))


async def test_what_a_program_prints_goes_to_its_log_and_under_its_name_to_the_console(
    tmp_path: Path, until: Until
) -> None:
    """Also a last line without an end, and bytes that are no text."""
    console = StringIO()
    async with Supervisor(logs=tmp_path, console=Console(console, colour=True), handle_signals=False) as supervisor:
        script = "echo one; echo two >&2; printf 'thr\\377ee'"
        await supervisor.launch(Program(name="speaker", argv=("/bin/sh", "-c", script), restart=None))
        await until(lambda: supervisor.state("speaker") == "stopped")
    assert (tmp_path / "speaker.log").read_bytes() == b"one\ntwo\nthr\xffee\n-- ended: exit status 0\n"
    prefix = "\x1b[36mspeaker      |\x1b[0m "
    said = ["one", "two", "thr\ufffdee", "-- ended: exit status 0"]
    assert console.getvalue() == "".join(f"{prefix}{line}\n" for line in said)


async def test_forever_ends_with_the_error_of_a_program_that_is_given_up() -> None:
    """A probe that finds the password changed after a restart, for instance."""
    answers = iter([None, ValueError("changed")])

    async def probe() -> None:
        if error := next(answers):
            raise error

    async with Supervisor(handle_signals=False) as supervisor:
        await supervisor.launch(shell("a", "exec sleep 60", ready=probe))
        await supervisor.kill("a")
        with pytest.raises(StartError, match="a failed with ValueError: changed"):
            await supervisor.forever()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_signal_stops_everything_and_leaves_quietly(tmp_path: Path, number: signal.Signals, lives: Lives) -> None:
    """The exit status is the script's own: being asked to stop is not an error."""
    script = "trap 'echo bye >> $0; exit 0' TERM; touch $1; while :; do sleep 0.02; done"
    with supervised(tmp_path, script) as (process, pids):
        process.send_signal(number)
        assert process.wait(timeout=10) == 7
    assert (tmp_path / "said").read_text() == "bye\nbye\n"
    assert [lives(pid) for pid in pids] == [False, False]


def test_a_second_signal_kills_what_does_not_stop(tmp_path: Path, lives: Lives) -> None:
    """Without waiting for the grace of a minute."""
    with supervised(tmp_path, "trap '' TERM; touch $1; while :; do sleep 0.02; done") as (process, pids):
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert process.stderr.readline() == "supervisor   | stopping; once more to kill\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 7
    assert [lives(pid) for pid in pids] == [False, False]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's death")
async def test_a_killed_supervisor_leaves_no_orphan(tmp_path: Path, until: Until, lives: Lives) -> None:
    """The kernel kills even those that ignore requests to stop."""
    with supervised(tmp_path, "trap '' TERM; touch $1; while :; do sleep 0.02; done") as (process, pids):
        process.kill()
        await until(lambda: [lives(pid) for pid in pids] == [False, False])


SUPERVISED = """
import asyncio, sys
from pathlib import Path
from deploy.embedded.output import Console
from deploy.embedded.program import NotReadyError, Program
from deploy.embedded.supervisor import Supervisor

async def main(folder, script):
    def program(name):
        async def probe():
            if not (folder / name).exists():
                raise NotReadyError(name)
        argv = ("/bin/sh", "-c", script, str(folder / "said"), str(folder / name))
        return Program(name=name, argv=argv, ready=probe, stop_grace=60, echo=False)
    async with Supervisor(console=Console(sys.stderr)) as supervisor:
        await supervisor.launch(program("a"))
        await supervisor.launch(program("b"))
        print(supervisor.pid("a"), supervisor.pid("b"), flush=True)
        await supervisor.forever()
    return 7 if supervisor.interrupted else 8

sys.exit(asyncio.run(main(Path(sys.argv[1]), sys.argv[2])))
"""


@contextmanager
def supervised(folder: Path, script: str) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A supervisor in a process of its own with two programs up."""
    command = [sys.executable, "-c", SUPERVISED, str(folder), script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        assert line != "", process.stderr.read()
        yield process, [int(pid) for pid in line.split()]
