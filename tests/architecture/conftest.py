"""A copy of the tree, to plant violations in."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.architecture.sources import PACKAGES, ROOT

Plant = Callable[[str, str], None]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packages and their configuration, in a folder of their own."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.fixture
def plant(copy: Path) -> Plant:
    """Adds text at the end of a file of the copy; the file is made if there is none."""

    def add(path: str, text: str) -> None:
        file = copy / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as opened:
            opened.write(f"\n{text}\n")

    return add
