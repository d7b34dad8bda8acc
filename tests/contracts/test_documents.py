"""The documents say what the running definitions say: fresh, complete, the same on every machine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from deploy.documents import docs, glossary
from deploy.documents.command import RELEASED, ROOT, documents
from deploy.documents.definitions import Definitions, read_definitions
from deploy.documents.rejections import rejections
from deploy.documents.released import messages
from shared.contracts import COMMANDS, FACTS, QUESTIONS, RECORDS, Command, Fact, Question, Record
from shared.contracts.aid_calls import AidAwarded

ASYNCAPI = Path("docs/asyncapi.json")
EVENTS = Path("docs/events.md")


@pytest.fixture(scope="module")
def definitions() -> Definitions:
    return read_definitions()


@pytest.fixture(scope="module")
def asyncapi() -> Any:
    return json.loads((ROOT / ASYNCAPI).read_text(encoding="utf-8"))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of what `conecta docs` reads and writes in a checkout."""
    for folder in ("docs", "tests/contracts"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def _conecta_docs(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        docs(list(arguments))
    return ended.value.code


@pytest.mark.parametrize("path", ["docs/asyncapi.json", "docs/events.md", "docs/glossary.md", str(RELEASED)])
def test_each_document_is_fresh(definitions: Definitions, path: str) -> None:
    stale = (ROOT / path).read_text(encoding="utf-8") != documents(ROOT, definitions)[Path(path)]
    assert not stale, f"{path} is stale: run `conecta docs`"


def test_the_check_passes_on_fresh_documents_and_writes_nothing(copy: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in copy.rglob("*")}
    assert _conecta_docs("--check", "--root", str(copy)) == 0
    assert {file: file.stat().st_mtime_ns for file in copy.rglob("*")} == before


def test_the_check_names_a_stale_document_and_leaves_it(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copy / EVENTS).write_text("old")
    (copy / ASYNCAPI).unlink()
    assert _conecta_docs("--check", "--root", str(copy)) == 1
    assert capsys.readouterr().err.splitlines() == [
        "stale: docs/asyncapi.json; run conecta docs",
        "stale: docs/events.md; run conecta docs",
    ]
    assert (copy / EVENTS).read_text() == "old"


def test_stale_documents_are_written(copy: Path) -> None:
    (copy / EVENTS).write_text("old")
    assert _conecta_docs("--root", str(copy)) == 0
    assert _conecta_docs("--check", "--root", str(copy)) == 0


def test_a_broken_promise_is_told_and_what_is_released_stays_as_it_was(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    released = json.loads((copy / RELEASED).read_text())
    released[AidAwarded.type]["schema"]["properties"]["prize"] = {"type": "string"}
    (copy / RELEASED).write_text(json.dumps(released))
    assert _conecta_docs("--root", str(copy)) == 1
    assert capsys.readouterr().err.startswith(f"broken promise: {AidAwarded.type}: prize: removed or renamed. ")
    assert json.loads((copy / RELEASED).read_text()) == released


def test_elsewhere_than_in_a_checkout_nothing_is_written(tmp_path: Path) -> None:
    assert _conecta_docs("--root", str(tmp_path)) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seed", ["1", "2"])
def test_documents_are_the_same_whatever_the_order_of_sets(copy: Path, seed: str) -> None:
    program = "from deploy.documents import docs; import sys; docs(sys.argv[1:])"
    checked = subprocess.run(
        [sys.executable, "-c", program, "--check", "--root", str(copy)],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def test_asyncapi_lists_every_message_with_what_is_done_about_it(asyncapi: Any) -> None:
    contracts = {*COMMANDS, *QUESTIONS, *FACTS, *RECORDS}
    assert contracts | set(messages()) == {name for name in asyncapi["components"]["messages"] if "." in name}
    about = {
        action: {
            message["$ref"].rpartition("/")[2] for one in _operations(asyncapi, action) for message in one["messages"]
        }
        for action in ("send", "receive")
    }
    assert about["send"] & contracts == {*FACTS, *RECORDS}
    assert about["receive"] & contracts >= {*COMMANDS, *QUESTIONS}


def test_asyncapi_says_who_hears_each_fact(asyncapi: Any, definitions: Definitions) -> None:
    told: list[type[Fact | Record]] = [*FACTS.values(), *RECORDS.values()]
    for fact in told:
        heard = [
            one["x-conecta-by"]
            for one in _operations(asyncapi, "receive")
            if one["messages"][0]["$ref"].endswith(f"/{fact.type}")
        ]
        assert heard == definitions.hearers(fact), fact.type


def test_asyncapi_says_who_may_send_each_command_and_question(asyncapi: Any) -> None:
    asked: list[type[Command | Question]] = [*COMMANDS.values(), *QUESTIONS.values()]
    for kind in asked:
        may = None if kind.may is None else sorted(kind.may)
        assert asyncapi["components"]["messages"][kind.type]["x-conecta-may"] == may


def test_asyncapi_names_no_machine(asyncapi: Any) -> None:
    assert [server["host"] for server in asyncapi["servers"].values()] == ["{address}"]
    hosts = set(re.findall(r"[a-z]+://([^/\"]+)", json.dumps(asyncapi)))
    assert hosts == {"www.gnu.org"}


def test_the_page_of_events_has_every_message(definitions: Definitions) -> None:
    page = (ROOT / EVENTS).read_text(encoding="utf-8")
    for kind in (*COMMANDS.values(), *QUESTIONS.values(), *FACTS.values(), *RECORDS.values()):
        assert f"`{kind.type}`" in page
    for command in COMMANDS.values():
        assert all(f"`{code}`" in page for code in rejections(definitions.handler(command)))


def test_links_of_the_documents_lead_somewhere() -> None:
    for path in (EVENTS, Path("docs/glossary.md")):
        page = (ROOT / path).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#:]+)\)", page):
            assert ((ROOT / path).parent / target).exists(), f"{path}: {target}"


def test_every_place_in_the_glossary_exists() -> None:
    for word in (word for words in glossary.WORDS.values() for word in words):
        for place in word.places:
            assert _found(place) is not None, f"{word.english}: {place}"


def _found(place: str) -> Any:
    """What has this dotted name: the longest part of it that is a module, and attributes of that."""
    parts = place.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: Any = import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    return None


def test_a_place_that_does_not_exist_is_found() -> None:
    with pytest.raises(AttributeError):
        _found("shared.contracts.people.Nobody")


def _operations(asyncapi: Any, action: str) -> list[Any]:
    return [one for one in asyncapi["operations"].values() if one["action"] == action]
