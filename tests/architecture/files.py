"""What the files of the project are called, and what no file of it may contain."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.sources import SERVICES

_MIGRATION = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")

_NOT_OURS = {
    "a path of somebody's machine": re.compile(r"(?<![\w.~$}/-])/(?:root|work|home/\w+|Users/\w+)/"),
    "a host of a package registry": re.compile(
        r"pypi[.]org|pythonhosted[.]org|npmjs[.](?:org|com)|yarnpkg[.]com|deb[.]debian[.]org|"
        r"crates[.]io|proxy[.]golang[.]org|rubygems[.]org|repo1?[.]maven[.]"
    ),
}


def misnamed_migrations(root: Path) -> list[str]:
    """Migrations that are not numbered 0001, 0002, … in each folder, or that can be taken back."""
    folders = [root / "shared" / "migrations", *(root / "services" / name / "migrations" for name in SERVICES)]
    return [
        f"{folder.relative_to(root).as_posix()}: {problem}"
        for folder in folders
        if folder.is_dir()
        for problem in _problems(folder)
    ]


def _problems(folder: Path) -> Iterator[str]:
    for place, file in enumerate(sorted(folder.iterdir()), start=1):
        named = _MIGRATION.fullmatch(file.name)
        if named is None:
            yield f"{file.name} is not called NNNN_what_it_does.sql"
        elif int(named[1]) != place:
            yield f"{file.name} should have number {place:04}"
        else:
            up, _, down = file.read_text(encoding="utf-8").partition("-- migrate:down")
            if not up.startswith("-- migrate:up\n"):
                yield f"{file.name} does not begin with -- migrate:up"
            if down.strip():
                yield f"{file.name} goes back; a mistake is mended by the next migration"


def ties_to_one_machine(root: Path) -> list[str]:
    """Lines of tracked files that name a path of a developer's machine or the host of a package registry."""
    return [
        f"{name}:{number} names {what}"
        for name in _tracked(root)
        for number, line in _lines(root / name)
        for what, pattern in _NOT_OURS.items()
        if pattern.search(line)
    ]


def _tracked(root: Path) -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, check=True, capture_output=True, text=True)
    return [name for name in listed.stdout.split("\0") if (root / name).is_file()]


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    content = file.read_bytes()
    if b"\0" not in content:
        yield from enumerate(content.decode("utf-8", errors="replace").splitlines(), start=1)
