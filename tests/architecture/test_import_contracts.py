"""Every import contract of pyproject.toml holds, and is broken by what is planted against it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.conftest import Plant
from tests.architecture.sources import ROOT

# Contract, file, what is added to it, and the words in which the linter must name it.
PLANTED = [
    ("top-down", "shared/log.py", "import clients.cli", "shared.log -> clients.cli"),
    ("top-down", "clients/cli/planted.py", "import services", "clients.cli.planted -> services"),
    ("top-down", "services/evaluation/store.py", "import deploy", "services.evaluation.store -> deploy"),
    ("service-layers", "services/aid_calls/domain.py", "import services.aid_calls.store", "domain -> services.aid_c"),
    ("service-layers", "services/aid_calls/helpers.py", "", "services.aid_calls.helpers"),
    ("services-apart", "services/aid_calls/store.py", "import services.evaluation", "store -> services.evaluation"),
    ("shared-layers", "shared/settings.py", "import shared.db", "shared.settings -> shared.db"),
    ("shared-layers", "shared/helpers.py", "", "shared.helpers"),
    ("pure", "services/evaluation/scoring.py", "import asyncpg", "scoring -> asyncpg"),
    ("pure", "shared/contracts/planted.py", "import shared.log", "planted -> shared.log"),
    ("driver", "services/registration/commands.py", "import asyncpg", "commands -> asyncpg"),
    ("clients", "clients/cli/planted.py", "import nats", "planted -> nats"),
    ("subscribers", "services/aid_calls/subscribers.py", "import services.aid_calls.store", "subscribers -> servic"),
]


def lint(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(tree), "COLUMNS": "300"}
    return subprocess.run(command, cwd=tree, env=environment, check=False, capture_output=True, text=True)


def test_the_import_contracts_hold(copy: Path) -> None:
    result = lint(copy)
    assert (result.returncode, result.stderr) == (0, ""), result.stdout


@pytest.mark.parametrize(("contract", "file", "line", "words"), PLANTED)
def test_a_breach_of_an_import_contract_is_found(
    copy: Path, plant: Plant, contract: str, file: str, line: str, words: str
) -> None:
    plant(file, line)
    result = lint(copy, "--contract", contract)
    assert (result.returncode, words in result.stdout) == (1, True), result.stdout


def test_each_contract_has_a_planted_breach() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert {contract["id"] for contract in contracts} == {contract for contract, *_ in PLANTED}
