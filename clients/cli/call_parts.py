"""One part of a call's file, read on its own, so that a fault in one place hides none in another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from shared.contracts.problems import sentence
from shared.contracts.wire import Problem, problems_of

# Fields that are lists: people count what is in them from 1.
_LISTS = frozenset({"criteria", "evaluators", "reserved_excluding_regions", "documents", "required_documents"})


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a file: where it stands, the fields that could be read, what is wrong with the others."""

    place: str
    values: dict[str, Any] = field(default_factory=dict)
    faults: tuple[str, ...] = ()


def read_part(model: type[BaseModel], raw: Any, *, place: str) -> Part:
    """Read a part as far as it can be read."""
    try:
        return Part(place, dict(model.model_validate(raw)))
    except ValidationError as error:
        problems = problems_of(error)
    faults = tuple(_fault(place, problem) for problem in problems)
    if not isinstance(raw, dict):
        return Part(place, {}, faults)
    broken = {(problem.field or "").partition(".")[0] for problem in problems}
    sound = {name: one for name, one in model.model_fields.items() if name not in broken}
    return Part(place, {name: _value(one, raw, name) for name, one in sound.items()}, faults)


def _value(one: FieldInfo, raw: dict[str, Any], name: str) -> Any:
    if name not in raw:
        return one.get_default(call_default_factory=True, validated_data={})
    return TypeAdapter(one.rebuild_annotation(), config=ConfigDict(str_strip_whitespace=True)).validate_python(
        raw[name]
    )


def typos(model: type[BaseModel], raw: Any, *, place: str) -> Iterator[str]:
    """Fields nobody knows that are nearly called like one that is not there: a rule would be lost."""
    if not isinstance(raw, dict):
        return
    absent = model.model_fields.keys() - raw.keys()
    for name in sorted(raw.keys() - model.model_fields.keys()):
        for meant in get_close_matches(name, sorted(absent), n=1, cutoff=0.75):
            yield f"{place}, {name}: no es un campo conocido, ¿quiso decir {meant}?"


def _fault(place: str, problem: Problem) -> str:
    words = sentence(problem.code, problem.detail)
    path = _path((problem.field or "").split("."))
    return f"{place}, {path}: {words}" if path else f"{place}: {words}"


def _path(names: list[str]) -> str:
    if names[0] in _LISTS and len(names) > 1 and names[1].isdigit():
        names = [f"{names[0]} n.º {int(names[1]) + 1}", *names[2:]]
    return ".".join(name for name in names if name != "[key]")
