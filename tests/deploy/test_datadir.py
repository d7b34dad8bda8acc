"""The data directory: private, marked, for one `up` at a time, not shared with what a killed one left."""

import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.embedded.datadir import (
    DataDirectoryError,
    DataDirectoryInUseError,
    open_data_directory,
    write_private,
)

Until = Callable[..., Awaitable[None]]
Lives = Callable[[int], bool]

# Opens the directory, starts a child that outlives it and ignores what it is asked, says both numbers, waits.
OTHER_UP = """
import os, subprocess, sys
from pathlib import Path
from deploy.embedded.datadir import open_data_directory

with open_data_directory(Path(sys.argv[1])) as data:
    child = subprocess.Popen(["sleep", "60"], pass_fds=[data.inherited])
    print(os.getpid(), child.pid, flush=True)
    sys.stdin.read()
    child.kill()
    child.wait()
"""


@contextmanager
def other_up(path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Another process that uses the directory, and the number of its child."""
    command = [sys.executable, "-c", OTHER_UP, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        _, child = process.stdout.readline().split()
        yield process, int(child)
        assert process.stdin is not None
        process.stdin.close()


def test_it_is_made_private(tmp_path: Path) -> None:
    with open_data_directory(tmp_path / "new" / "data") as data:
        assert data.path == tmp_path / "new" / "data"
        assert [path.stat().st_mode & 0o777 for path in (data.path, data.logs)] == [0o700, 0o700]


def test_its_own_that_became_readable_is_made_private_again(tmp_path: Path) -> None:
    with open_data_directory(tmp_path / "data"):
        pass
    (tmp_path / "data").chmod(0o755)
    with open_data_directory(tmp_path / "data") as data:
        assert data.path.stat().st_mode & 0o777 == 0o700


def test_it_can_be_opened_again_after_it_was_closed(tmp_path: Path) -> None:
    for _ in range(2):
        with open_data_directory(tmp_path / "data") as data:
            write_private(data.path / "kept", "x")
    assert (tmp_path / "data" / "kept").read_text() == "x"


def test_a_second_use_is_refused_and_names_the_first(tmp_path: Path) -> None:
    with other_up(tmp_path / "data") as (first, _):
        with pytest.raises(DataDirectoryInUseError) as refused, open_data_directory(tmp_path / "data"):
            pass
        assert str(refused.value) == (
            f"{tmp_path / 'data'} is in use by another `conecta up` (process {first.pid}):"
            " stop that one, or name another directory"
        )
        assert refused.value.pids == [first.pid]


@pytest.mark.skipif(sys.platform != "linux", reason="the processes are found through /proc")
def test_what_a_killed_one_left_running_is_named_when_waiting_is_in_vain(tmp_path: Path) -> None:
    with other_up(tmp_path / "data") as (first, child):
        first.kill()
        first.wait()
        with (
            pytest.raises(DataDirectoryInUseError, match=f"was killed: end processes {child}$") as refused,
            open_data_directory(tmp_path / "data", patience=0.2),
        ):
            pass
        assert refused.value.pids == [child]
        os.kill(child, signal.SIGKILL)
        with open_data_directory(tmp_path / "data"):
            pass


def test_what_a_killed_one_left_running_is_waited_for(tmp_path: Path, lives: Lives) -> None:
    with other_up(tmp_path / "data") as (first, child):
        first.kill()
        first.wait()
        with subprocess.Popen(["sh", "-c", f"sleep 0.3; kill -9 {child}"]), open_data_directory(tmp_path / "data"):
            assert not lives(child)


def test_a_directory_with_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    tmp_path.chmod(0o755)
    with (
        pytest.raises(DataDirectoryError, match="has files that are not Conecta's"),
        open_data_directory(tmp_path),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(DataDirectoryError, match="is a file, not a directory"),
        open_data_directory(tmp_path / "file"),
    ):
        pass


def test_a_layout_of_a_later_version_is_refused(tmp_path: Path) -> None:
    with open_data_directory(tmp_path / "data"):
        pass
    (tmp_path / "data" / "conecta-data").write_text("2")
    with (
        pytest.raises(DataDirectoryError, match="has layout 2; this version of Conecta knows layout 1 only"),
        open_data_directory(tmp_path / "data"),
    ):
        pass


def test_a_full_disk_is_told_before_anything_starts(tmp_path: Path) -> None:
    with (
        pytest.raises(DataDirectoryError, match="MB free; Conecta needs at least 1048576 MB"),
        open_data_directory(tmp_path / "data", minimum_free=2**40),
    ):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's directory")
def test_another_users_directory_is_refused_even_to_root(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    os.chown(tmp_path / "data", 65534, 65534)
    with (
        pytest.raises(DataDirectoryError, match="belongs to user nobody: run as nobody, or name another directory"),
        open_data_directory(tmp_path / "data"),
    ):
        pass


def test_an_ordinary_user_can_use_its_own_and_not_one_that_cannot_be_made(
    ordinary_python: list[str], ordinary_environment: dict[str, str], ordinary_folder: Path
) -> None:
    script = """
import sys
from pathlib import Path
from deploy.embedded.datadir import DataDirectoryError, open_data_directory
with open_data_directory(Path(sys.argv[1]) / "data") as data:
    print(oct(data.path.stat().st_mode)[-3:])
try:
    with open_data_directory(Path("/proc/conecta")):
        pass
except DataDirectoryError as error:
    print(str(error).split(":")[0])
"""
    command = [*ordinary_python, "-c", script, str(ordinary_folder)]
    result = subprocess.run(command, check=False, capture_output=True, text=True, cwd="/", env=ordinary_environment)
    assert (result.stdout, result.stderr) == ("700\n/proc/conecta cannot be created\n", "")


def test_a_private_file_is_replaced_whole_and_is_private_from_its_first_byte(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert [path.read_text(), path.stat().st_mode & 0o777, len(list(tmp_path.iterdir()))] == ["new", 0o600, 1]


def test_a_private_file_is_not_written_through_a_link_that_somebody_put_there(tmp_path: Path) -> None:
    (tmp_path / ".secret.new").symlink_to(tmp_path / "elsewhere")
    write_private(tmp_path / "secret", "x")
    assert not (tmp_path / "elsewhere").exists()
