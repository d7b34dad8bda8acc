"""The operating system's users under which a child process may run.

PostgreSQL refuses to run as root, so root needs an unprivileged user to hand it to.
"""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

DEDICATED = "embedded_postgres"
FALLBACK = "nobody"


@dataclass(frozen=True, kw_only=True)
class SystemUser:
    """A user by number: it may own files without having a name (a container, a removed account)."""

    uid: int
    gid: int


def unprivileged_user() -> SystemUser | None:
    """The user for what must not run as root; None when we are not root and need nobody else."""
    if os.geteuid() != 0:
        return None
    return _lookup(DEDICATED) or _create(DEDICATED) or _existing(FALLBACK)


class Identity(TypedDict, total=False):
    """The arguments of `subprocess` that start a process as another user, with no group but that user's own."""

    user: int
    group: int
    extra_groups: list[str | int]


def identity(user: SystemUser | None) -> Identity:
    """For `subprocess.run(..., **identity(user))`; nothing for None, which means: as ourselves."""
    return Identity() if user is None else Identity(user=user.uid, group=user.gid, extra_groups=[])


def owner_of(path: Path) -> SystemUser:
    """The user and group that own `path`."""
    status = path.stat()
    return SystemUser(uid=status.st_uid, gid=status.st_gid)


def _lookup(name: str) -> SystemUser | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return SystemUser(uid=entry.pw_uid, gid=entry.pw_gid)


def _create(name: str) -> SystemUser | None:
    """A system user without a home or a shell; None where users cannot be added (a read-only /etc)."""
    useradd = shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if useradd is None:
        return None
    command = [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", name]
    # Its status is not asked: another process may have added the user in this very moment.
    subprocess.run(command, check=False, capture_output=True, text=True)
    return _lookup(name)


def _existing(name: str) -> SystemUser:
    user = _lookup(name)
    if user is None:
        message = f"running as root needs an unprivileged user, and neither {DEDICATED} nor {name} exists"
        raise RuntimeError(message)
    return user
