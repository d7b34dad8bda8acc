"""What is released of the published language, kept in `tests/contracts/released.json`: it only grows."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from deploy.documents.compatibility import complaints
from deploy.documents.schemas import schema_of, without
from shared.contracts import COMMANDS, FACTS, QUESTIONS, RECORDS
from shared.contracts.wire import Outcome, Receipt

Released = dict[str, dict[str, Any]]

# What travels beside the contracts, under names of the same kind.
ENVELOPES: dict[str, type[BaseModel]] = {"outcome.v1": Outcome, "receipt.v1": Receipt}
_TEXTS = {"description", "examples"}


def messages() -> dict[str, type[BaseModel]]:
    """Everything whose shape is a promise, by name; an answer has its question's name and `.answer`."""
    contracts: dict[str, type[BaseModel]] = {**COMMANDS, **QUESTIONS, **FACTS, **RECORDS}
    answers = {f"{name}.answer": question.answer for name, question in QUESTIONS.items()}
    return dict(sorted({**contracts, **answers, **ENVELOPES}.items()))


def today() -> Released:
    """What would be released now: kind, subject and schema, without texts, which may change."""
    return {
        name: {"kind": _kind(name), "subject": _subject(name), "schema": without(schema_of(model), _TEXTS)}
        for name, model in messages().items()
    }


def read_released(file: Path) -> Released:
    """What has been released; nothing before the first release."""
    found: Released = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return found


def broken_promises(released: Released, now: Released) -> list[str]:
    """Where today's language breaks a released one, and what to do instead."""
    return [
        f"{name}: {complaint}. A released version keeps its shape and meaning: {_remedy(name)}"
        for name, entry in released.items()
        for complaint in _complaints(entry, now.get(name))
    ]


def _complaints(released: dict[str, Any], now: dict[str, Any] | None) -> list[str]:
    if now is None:
        return ["is gone"]
    moved = [
        f"another {key} ({released[key]} → {now[key]})" for key in ("kind", "subject") if released[key] != now[key]
    ]
    published = released["kind"] not in {"command", "question"}
    return moved + complaints(released["schema"], now["schema"], published=published)


def _remedy(name: str) -> str:
    match = re.fullmatch(r"(?P<stem>.+)\.v(?P<version>\d+)(?P<answer>\.answer)?", name)
    if match is None:
        return "make a new version beside it"
    return f"undo this, and make {match['stem']}.v{int(match['version']) + 1} beside it"


def _kind(name: str) -> str:
    kinds: dict[str, Mapping[str, object]] = {
        "command": COMMANDS,
        "question": QUESTIONS,
        "fact": FACTS,
        "record": RECORDS,
        "envelope": ENVELOPES,
    }
    return next((kind for kind, known in kinds.items() if name in known), "answer")


def _subject(name: str) -> str | None:
    if name in COMMANDS:
        return COMMANDS[name].subject()
    if name in QUESTIONS:
        return QUESTIONS[name].subject()
    if name in FACTS:
        return address(FACTS[name].subjects(), FACTS[name].within)
    return address(RECORDS[name].subjects(), RECORDS[name].about) if name in RECORDS else None


def address(subjects: str, field: str) -> str:
    """A wildcard subject with the name of the field that its last token is."""
    return f"{subjects.removesuffix('*')}{{{field}}}"
