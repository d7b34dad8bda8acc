"""What a newcomer types first: `make help` tells of every target, and CI is one of them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_make_help_tells_what_every_target_is_for() -> None:
    targets = re.findall(r"^\.PHONY: (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    told = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert re.findall(r"^  make (\S+)  ", told, re.MULTILINE) == targets


def test_ci_is_make_check() -> None:
    script = (ROOT / ".ci" / "run").read_text().splitlines()
    assert script[-1] == "exec make check </dev/null"
