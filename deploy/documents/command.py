"""`conecta docs`: writes the documents that are made from the running definitions, or checks that they are fresh."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.console import Console

from deploy.documents import asyncapi, events, glossary, released
from deploy.documents.definitions import Definitions, read_definitions

ROOT = Path(__file__).parents[2]
RELEASED = Path("tests/contracts/released.json")
SAMPLES = Path("tests/contracts/samples")

docs = App(name="docs")
err = Console(stderr=True, highlight=False, soft_wrap=True)


@docs.default
def write(
    *,
    check: Annotated[bool, Parameter(help="Write nothing; fail if a document is stale.")] = False,
    root: Annotated[Path, Parameter(help="The checkout.")] = ROOT,
) -> None:
    """Write what is made from the contracts and services: docs/ and the schemas of what is released."""
    if not (root / SAMPLES).is_dir():
        err.print(f"[red]{root} is not a checkout of Conecta[/]")
        sys.exit(2)
    definitions = read_definitions()
    broken = released.broken_promises(released.read_released(root / RELEASED), released.today())
    for promise in broken:
        err.print(f"[red]broken promise:[/] {promise}")
    contents = documents(root, definitions)
    stale = [path for path, content in contents.items() if not _is_fresh(root / path, content)]
    if check:
        for path in stale:
            err.print(f"[red]stale:[/] {path}; run [bold]conecta docs[/]")
    elif not broken:
        _write(root, {path: contents[path] for path in stale})
    sys.exit(1 if broken or (check and stale) else 0)


def documents(root: Path, definitions: Definitions) -> dict[Path, str]:
    """The content of every document, by its path in the checkout."""
    makers: dict[str, Callable[[], str]] = {
        "docs/asyncapi.json": lambda: as_json(asyncapi.document(definitions, samples=root / SAMPLES)),
        "docs/events.md": lambda: events.page(definitions, samples=root / SAMPLES),
        "docs/glossary.md": glossary.page,
        str(RELEASED): lambda: as_json(released.today()),
    }
    return {Path(path): make() for path, make in makers.items()}


def as_json(content: Any) -> str:
    """JSON as it is kept in files: readable, the same every time."""
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _is_fresh(file: Path, content: str) -> bool:
    return file.is_file() and file.read_text(encoding="utf-8") == content


def _write(root: Path, contents: dict[Path, str]) -> None:
    for path, content in contents.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content, encoding="utf-8")
        err.print(f"written: {path}")
