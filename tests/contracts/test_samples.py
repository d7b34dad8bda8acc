"""Golden samples: what was released must parse for ever, and a contract without a sample is not released."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter

from deploy.documents.command import ROOT, SAMPLES
from deploy.documents.released import messages
from deploy.documents.samples import samples
from shared.contracts.people import Email

FOLDER = ROOT / SAMPLES
each_message = pytest.mark.parametrize(("name", "model"), messages().items(), ids=messages())


@each_message
def test_every_message_has_a_sample_that_parses_and_survives_the_wire(name: str, model: type[BaseModel]) -> None:
    for file, content in samples(FOLDER, name).items():
        read = model.model_validate_json(json.dumps(content))
        assert model.model_validate_json(read.model_dump_json()) == read, file
        assert json.loads(read.model_dump_json()) == content, file


@each_message
def test_the_samples_of_a_message_show_every_field_filled(name: str, model: type[BaseModel]) -> None:
    shown = {field for content in samples(FOLDER, name).values() for field in _filled(model, model(**content))}
    assert set(_fields(model)) - shown == set()


def test_every_sample_is_one_of_a_message() -> None:
    known = {file for name in messages() for file in samples(FOLDER, name)}
    assert {file.name for file in FOLDER.iterdir()} == known


def test_the_people_of_samples_do_not_exist() -> None:
    texts = (text for file in FOLDER.iterdir() for text in _texts(json.loads(file.read_text())) if "@" in text)
    addresses = {TypeAdapter(Email).validate_python(text).partition("@")[2] for text in texts}
    assert addresses == {"example.org"}


def _fields(model: type[BaseModel]) -> Iterator[str]:
    """The fields of a model and of the models inside it, unless those have samples of their own."""
    for name, field in model.model_fields.items():
        yield name
        for part in set(_models(field.annotation)) - set(messages().values()):
            yield from (f"{name}.{inner}" for inner in _fields(part))


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inside in getattr(annotation, "__args__", ()):
        yield from _models(inside)


def _filled(model: type[BaseModel], value: BaseModel) -> Iterator[str]:
    for name in model.model_fields:
        found = getattr(value, name)
        if found is None or found in ("", (), {}, frozenset()):
            continue
        yield name
        parts = [found] if isinstance(found, BaseModel) else found.values() if isinstance(found, dict) else found
        for part in parts if not isinstance(parts, str | int) and hasattr(parts, "__iter__") else ():
            if isinstance(part, BaseModel):
                yield from (f"{name}.{inner}" for inner in _filled(type(part), part))


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    for inside in content.values() if isinstance(content, dict) else content if isinstance(content, list) else ():
        yield from _texts(inside)
