"""No input of any shape makes a contract raise anything but a ValidationError whose problems have stable codes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from deploy.documents.command import ROOT, SAMPLES
from deploy.documents.samples import sample
from shared.contracts import COMMANDS, QUESTIONS, Command, Question
from shared.contracts.wire import MOST_PROBLEMS, SHAPE_CODES, Problem, Sent, problems_of
from tests.contracts import inputs

# What clients translate for people: a code may be added here, none may go or change.
CODES = {
    "instant-without-zone",
    "invalid-amount",
    "invalid-birth-date",
    "invalid-character",
    "invalid-date",
    "invalid-dni",
    "invalid-document",
    "invalid-email",
    "invalid-id",
    "invalid-instant",
    "invalid-phone",
    "malformed",
    "more-problems",
    "not-a-list",
    "not-a-number",
    "not-a-whole-number",
    "not-an-object",
    "not-one-of",
    "not-text",
    "not-true-or-false",
    "required",
    "too-large",
    "too-long",
    "too-short",
    "too-small",
    "unknown-field",
    "unknown-region",
    "wrong-format",
}
# What the bus takes in one message; an outcome has other fields besides its problems.
_LARGEST_OUTCOME = 512 << 10

# `CONECTA_EXAMPLES=1000 pytest tests/contracts` looks further, at other inputs every time.
_EXAMPLES = os.environ.get("CONECTA_EXAMPLES")
quick = settings(
    max_examples=int(_EXAMPLES or 12),
    derandomize=_EXAMPLES is None,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
each_command = pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda kind: kind.name)


def _problems(error: ValidationError) -> list[Problem]:
    problems = list(problems_of(error))
    assert problems
    assert {problem.code for problem in problems} - CODES == set()
    assert len(b"".join(problem.model_dump_json().encode() for problem in problems)) < _LARGEST_OUTCOME
    return problems


def _read(contract: type[Command | Question], body: bytes) -> Command | Question | None:
    """What a service reads, as it reads it; None if it has problems with it."""
    try:
        sent: Sent[Any] = Sent[contract].model_validate_json(body)  # type: ignore[valid-type]
    except ValidationError as error:
        _problems(error)
        return None
    data: Command | Question = sent.data
    return data


def test_the_codes_of_a_commands_shape_are_a_closed_list() -> None:
    assert SHAPE_CODES == CODES


@each_command
@quick
@given(data=st.data())
def test_what_fits_the_published_schema_is_read_and_survives_the_wire(
    command: type[Command], data: st.DataObject
) -> None:
    fields = data.draw(inputs.fitting(command))
    read = command.model_validate_json(json.dumps(fields))
    again = command.model_validate_json(read.model_dump_json())
    assert again == read
    assert again.model_dump_json() == command.model_validate(again.model_dump()).model_dump_json()
    assert list(_unstorable(read)) == []


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=lambda kind: kind.type)
@quick
@given(data=st.data())
def test_a_question_that_fits_the_published_schema_is_read(question: type[Question], data: st.DataObject) -> None:
    fields = data.draw(inputs.fitting(question))
    read = question.model_validate_json(json.dumps(fields))
    assert question.model_validate_json(read.model_dump_json()) == read


@each_command
def test_every_nasty_value_in_every_place_becomes_problems_or_can_be_stored(command: type[Command]) -> None:
    content = sample(ROOT / SAMPLES, command.type)
    for place in inputs.places(content):
        for value in inputs.NASTY_JSON:
            body = inputs.spoilt(content, place, value)
            read = _read(command, b'{"data":' + body.encode("utf-8", "surrogatepass") + b"}")
            if read is not None:
                assert command.model_validate_json(read.model_dump_json()) == read, (place, value)
                assert list(_unstorable(read)) == [], (place, value)


@each_command
@quick
@given(data=st.data())
def test_wrong_fields_become_problems_and_what_passes_can_be_stored(
    command: type[Command], data: st.DataObject
) -> None:
    read = _read(command, data.draw(inputs.mistaken(command)))
    if read is not None:
        assert command.model_validate_json(read.model_dump_json()) == read
        assert list(_unstorable(read)) == []


@each_command
@quick
@given(data=st.data())
def test_broken_bodies_become_problems(command: type[Command], data: st.DataObject) -> None:
    read = _read(command, data.draw(inputs.broken(command)))
    assert read is None or list(_unstorable(read)) == []


@each_command
@quick
@given(body=st.binary(max_size=200) | inputs.nasty_json.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_bodies_of_any_bytes_become_problems(command: type[Command], body: bytes) -> None:
    assert _read(command, body) is None
    _read(command, b'{"data":' + body + b"}")


@each_command
@quick
@given(data=st.data())
def test_python_values_of_any_type_become_problems(command: type[Command], data: st.DataObject) -> None:
    value = data.draw(inputs.mistaken_objects(command) | inputs.anything)
    try:
        read = command.model_validate(value)
    except ValidationError as error:
        _problems(error)
    else:
        assert list(_unstorable(read)) == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "malformed"),
        (b"\xff\xfe", "malformed"),
        (b"{", "malformed"),
        (b'{"data":' + b"[" * 5000, "malformed"),
        (b'{"data":' + b'{"a":' * 5000 + b"1" + b"}" * 5001, "malformed"),
        (b"null", "not-an-object"),
        (b'"text"', "not-an-object"),
        (b"{}", "required"),
        (b'{"data":[]}', "not-an-object"),
        (b'{"data":{"meeting_id":"\\ud800"}}', "malformed"),
    ],
)
@each_command
def test_what_is_no_command_at_all_has_one_problem(command: type[Command], body: bytes, code: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Sent[command].model_validate_json(body)  # type: ignore[valid-type]
    assert [problem.code for problem in problems_of(caught.value)] == [code]


@each_command
def test_thousands_of_problems_are_told_as_a_hundred_and_their_number(command: type[Command]) -> None:
    body = {"data": {f"{number:x}": number for number in range(20_000)}}
    with pytest.raises(ValidationError) as caught:
        Sent[command].model_validate_json(json.dumps(body))  # type: ignore[valid-type]
    problems = _problems(caught.value)
    assert len(problems) == MOST_PROBLEMS + 1
    assert problems[-1] == Problem(code="more-problems", detail={"number": _missing(command) + 20_000 - MOST_PROBLEMS})


def _missing(command: type[Command]) -> int:
    return sum(field.is_required() for field in command.model_fields.values())


def _unstorable(value: Any, path: str = "") -> Iterator[str]:
    """Values that PostgreSQL would refuse, or change, in the columns that such values have."""
    match value:
        case BaseModel():
            for name in type(value).model_fields:
                yield from _unstorable(getattr(value, name), f"{path}.{name}")
        case dict():
            for key, one in value.items():
                yield from (*_unstorable(key, f"{path} key"), *_unstorable(one, f"{path}.{key}"))
        case tuple() | frozenset():
            for one in value:
                yield from _unstorable(one, f"{path}[]")
        case _ if not _fits(value):
            yield f"{path}: {value!r}"


def _fits(value: Any) -> bool:
    match value:
        case str():
            return "\0" not in value and value.encode("utf-8", "replace") == value.encode("utf-8", "surrogatepass")
        case bool() | None:
            return True
        case int():
            return -(2**31) <= value < 2**31
        case Decimal():  # numeric(12,2); rates have six places
            exponent = value.as_tuple().exponent
            return isinstance(exponent, int) and -6 <= exponent <= 0 and abs(value) < 10**10
        case datetime():
            return value.utcoffset() == timedelta(0) and 2000 <= value.year < 2200
    return isinstance(value, date) or type(value).__name__ == "UUID"
