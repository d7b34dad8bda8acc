from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.architecture import files
from tests.architecture.sources import ROOT


def test_migrations_are_numbered_and_go_forward() -> None:
    assert files.misnamed_migrations(ROOT) == []


def test_every_fault_of_a_migration_is_found(copy: Path) -> None:
    folder = copy / "services" / "aid_calls" / "migrations"
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "0001_a.sql").write_text("-- migrate:up\ncreate table a ();\n-- migrate:down\ndrop table a;\n")
    (folder / "0003_b.sql").write_text("-- migrate:up\n-- migrate:down\n")
    (folder / "0003_c.sql").write_text("create table c ();\n")
    (folder / "later.sql").write_text("-- migrate:up\n")
    assert files.misnamed_migrations(copy) == [
        "services/aid_calls/migrations: 0001_a.sql goes back; a mistake is mended by the next migration",
        "services/aid_calls/migrations: 0003_b.sql should have number 0002",
        "services/aid_calls/migrations: 0003_c.sql does not begin with -- migrate:up",
        "services/aid_calls/migrations: later.sql is not called NNNN_what_it_does.sql",
    ]


def test_no_file_ties_the_project_to_one_machine() -> None:
    assert files.ties_to_one_machine(ROOT) == []


def test_a_path_of_a_machine_and_a_host_of_a_registry_are_found(tmp_path: Path) -> None:
    home, host = "|home|ana|conecta".replace("|", "/"), "files|pythonhosted|org".replace("|", ".")
    (tmp_path / "planted.lock").write_text(f"six==1.17.0\n# from https://{host}/six.whl\n")
    (tmp_path / "planted.md").write_text(f"run `{home}/.venv/bin/conecta`; data is in ./work/ and $HOME/work/\n")
    (tmp_path / "untracked.md").write_text(home)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "planted.lock", "planted.md"], cwd=tmp_path, check=True)
    assert files.ties_to_one_machine(tmp_path) == [
        "planted.lock:2 names a host of a package registry",
        "planted.md:1 names a path of somebody's machine",
    ]
