"""The data directory: everything that an embedded stack keeps, private to one user, used by one `up` at a time.

Two locks guard it. The first is held by `up` itself; the second is inherited by every process that `up` starts,
so that servers which outlive a killed `up` are waited for, never joined by a second pair on the same files.
"""

import fcntl
import os
import pwd
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MARK = "conecta-data"
LAYOUT = "1"
MINIMUM_FREE_BYTES = 300 * 1024 * 1024
PATIENCE_SECONDS = 40.0


class DataDirectoryError(Exception):
    """The directory cannot be used; the message says why and what to do."""


class DataDirectoryInUseError(DataDirectoryError):
    """Another `up`, or what one left running, works on this directory; `pids` are its processes."""

    def __init__(self, message: str, *, pids: list[int]) -> None:
        """Keep the processes beside the message."""
        super().__init__(message)
        self.pids = pids


@dataclass(frozen=True, kw_only=True)
class DataDirectory:
    """An opened data directory. `inherited` is a file descriptor for every child process to inherit."""

    path: Path
    inherited: int

    @property
    def logs(self) -> Path:
        """Where each program's log is written."""
        return self.path / "logs"


@contextmanager
def open_data_directory(
    path: Path, *, minimum_free: int = MINIMUM_FREE_BYTES, patience: float = PATIENCE_SECONDS
) -> Iterator[DataDirectory]:
    """Create or open the directory, hold both locks until the block ends; refuse with `DataDirectoryError`."""
    path = path.expanduser().resolve()
    _create(path)
    _check_owner(path)
    _check_mark(path)
    _check_space(path, minimum_free)
    holder = os.open(path / "up.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    inherited = os.open(path / "children.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        _take(holder, path)
        _wait_for_children(inherited, path, patience)
        (path / "logs").mkdir(mode=0o700, exist_ok=True)
        yield DataDirectory(path=path, inherited=inherited)
    finally:
        os.close(holder)
        os.close(inherited)


def write_private(path: Path, text: str, *, owner: tuple[int, int] | None = None) -> None:
    """Replace a file at once and whole, readable by its owner alone; `owner` is a user and a group number."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        if owner is not None:
            os.fchown(descriptor, *owner)
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    draft.replace(path)


def _create(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise DataDirectoryError(f"{path} is a file, not a directory") from None
    except OSError as error:
        raise DataDirectoryError(f"{path} cannot be created: {error.strerror}") from error


def _check_owner(path: Path) -> None:
    status = path.stat()
    if status.st_uid != os.geteuid():
        owner = _name_of(status.st_uid)
        raise DataDirectoryError(f"{path} belongs to user {owner}: run as {owner}, or name another directory")
    if stat.S_IMODE(status.st_mode) != 0o700 and (not any(path.iterdir()) or (path / MARK).exists()):
        path.chmod(0o700)


def _check_mark(path: Path) -> None:
    """A mark tells our directory from a home or a project folder named by mistake."""
    mark = path / MARK
    if not mark.exists():
        if any(path.iterdir()):
            raise DataDirectoryError(f"{path} has files that are not Conecta's: name an empty or a new directory")
        write_private(mark, LAYOUT)
    if (layout := mark.read_text(encoding="utf-8").strip()) != LAYOUT:
        raise DataDirectoryError(f"{path} has layout {layout}; this version of Conecta knows layout {LAYOUT} only")


def _check_space(path: Path, minimum_free: int) -> None:
    free = shutil.disk_usage(path).free
    if free < minimum_free:
        need, have = minimum_free // 2**20, free // 2**20
        raise DataDirectoryError(f"{path} is on a disk with {have} MB free; Conecta needs at least {need} MB")


def _take(holder: int, path: Path) -> None:
    try:
        fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(holder, 20, 0).decode()  # empty while the other is just starting
        whose = f"process {pid or 'unknown'}"
        message = f"{path} is in use by another `conecta up` ({whose}): stop that one, or name another directory"
        raise DataDirectoryInUseError(message, pids=[int(pid)] if pid else []) from None
    os.ftruncate(holder, 0)
    os.pwrite(holder, str(os.getpid()).encode(), 0)


def _wait_for_children(inherited: int, path: Path, patience: float) -> None:
    """Take the lock alone, which proves that no child of an earlier `up` lives, then share it with our own."""
    give_up = time.monotonic() + patience
    while not _taken_alone(inherited):
        if time.monotonic() > give_up:
            pids = _holders(path / "children.lock")
            listed = ", ".join(map(str, pids)) or "unknown"
            message = f"{path} is still used by servers of a `conecta up` that was killed: end processes {listed}"
            raise DataDirectoryInUseError(message, pids=pids)
        time.sleep(0.05)
    fcntl.flock(inherited, fcntl.LOCK_SH)


def _taken_alone(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holders(path: Path) -> list[int]:
    """The processes that have `path` open, apart from this one, as far as we may see them (Linux only)."""
    wanted = str(path)
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            opened = {str(link.readlink()) for link in (process / "fd").iterdir()}
        except OSError:  # ended meanwhile, or another user's
            continue
        if wanted in opened and int(process.name) != os.getpid():
            found.add(int(process.name))
    return sorted(found)


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
