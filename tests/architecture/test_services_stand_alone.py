"""Every module of a service can be imported with only `shared/` beside it: what it runs with is what it ships with."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT, SERVICES

# -S leaves out the editable install (a .pth file), by which the rest of the checkout would be found as well.
IMPORT_ALL = """
import importlib, pkgutil, sys
tree, libraries, package = sys.argv[1:]
sys.path[:0] = [tree]
sys.path += [libraries]
found = importlib.import_module(package)
for module in pkgutil.walk_packages(found.__path__, f"{package}."):
    importlib.import_module(module.name)
"""


def alone(service: str, tree: Path) -> Path:
    for folder in (f"services/{service}", "shared"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "services" / "__init__.py", tree / "services")
    return tree


def import_all(service: str, tree: Path) -> subprocess.CompletedProcess[str]:
    libraries = sysconfig.get_path("purelib")
    command = [sys.executable, "-I", "-S", "-c", IMPORT_ALL, str(tree), libraries, f"services.{service}"]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_can_be_imported_with_only_shared_beside_it(service: str, tmp_path: Path) -> None:
    result = import_all(service, alone(service, tmp_path))
    assert (result.returncode, result.stderr) == (0, ""), result.stderr


@pytest.mark.parametrize(
    ("needed", "missing"),
    [
        ("deploy", "deploy"),
        ("clients.cli", "clients"),
        ("services.registration", "services.registration"),
        ("tests.servers", "tests"),
    ],
)
def test_a_service_that_needs_more_than_shared_is_found(needed: str, missing: str, tmp_path: Path) -> None:
    tree = alone("notifications", tmp_path)
    (tree / "services" / "notifications" / "planted.py").write_text(f"import {needed}\n")
    result = import_all("notifications", tree)
    assert (result.returncode, result.stderr.splitlines()[-1]) == (
        1,
        f"ModuleNotFoundError: No module named '{missing}'",
    )
