"""The lock installs what pyproject.toml asks for, from any registry, and nothing that was not looked at."""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PIN = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)
LOCKS = pytest.mark.parametrize("lock", ["requirements.lock", "requirements-uv.lock"])


def pins() -> dict[str, str]:
    return {canonicalize_name(name): version for name, version in PIN.findall((ROOT / "requirements.lock").read_text())}


def asked_for() -> list[Requirement]:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = chain.from_iterable(pyproject["project"]["optional-dependencies"].values())
    built_with = pyproject["build-system"]["requires"]
    return [Requirement(text) for text in [*pyproject["project"]["dependencies"], *extras, *built_with]]


def test_everything_asked_for_is_locked_at_a_version_that_will_do() -> None:
    locked = pins()
    unlocked = [
        str(requirement)
        for requirement in asked_for()
        if not requirement.specifier.contains(locked.get(canonicalize_name(requirement.name), "0"))
    ]
    assert unlocked == [], "run: make lock"


@LOCKS
def test_every_version_locked_has_its_hashes(lock: str) -> None:
    entries = re.split(r"\n(?=[a-z0-9])", (ROOT / lock).read_text())[1:]
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


@LOCKS
def test_a_lock_names_no_address(lock: str) -> None:
    assert re.findall(r"\S*://\S*|--\S*index\S*", (ROOT / lock).read_text()) == []
