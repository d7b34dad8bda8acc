"""The published language is carried out: everything that may be sent has a handler, all that is heard is on a card."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from deploy.documents.definitions import Definitions, read_definitions
from deploy.documents.rejections import rejections
from deploy.documents.released import messages
from shared.contracts import FACTS, SERVICES, Command, Question
from shared.contracts.aid_calls import CallClosed, SubmitApplication, WithdrawApplication
from shared.contracts.evaluation import AssignEvaluator

# Facts that no service needs: they are published for people and programs outside.
FOR_FOLLOWERS = {
    "meeting-created": "a drafted meeting is the team's own; nobody else acts on it before it is published",
    "call-results-published": "the sum of what aid-awarded and aid-reserved tell one by one",
    "conflict-declared": "evaluation re-assigns by itself; the team's screens follow it",
    "review-submitted": "progress of the panel, for the team's screens",
    "notification-sent": "how mails went, for the team's screens",
    "notification-failed": "a suppressed address is shown to the organisers",
}


@pytest.fixture(scope="module")
def definitions() -> Definitions:
    return read_definitions()


def test_every_command_is_carried_out_by_its_own_service(definitions: Definitions) -> None:
    for name, service in definitions.services.items():
        assert set(service.commands) == {one for one in definitions.commands.values() if one.service == name}


def test_every_question_is_answered_by_its_own_service(definitions: Definitions) -> None:
    for name, service in definitions.services.items():
        answered = {*service.questions, service.command_outcome, service.service_status}
        assert answered == {one for one in definitions.questions.values() if one.service == name}


def test_a_service_hears_exactly_what_is_on_its_card(definitions: Definitions) -> None:
    for name, service in definitions.services.items():
        card = definitions.cards[name]
        assert set(service.facts) == set(card.hears)
        assert set(service.records) == set(card.records_heard)


def test_a_fact_that_no_service_hears_is_meant_for_those_outside(definitions: Definitions) -> None:
    unheard = {fact.name for fact in definitions.facts.values() if not definitions.hearers(fact)}
    assert unheard == set(FOR_FOLLOWERS)


def test_every_fact_is_made_by_its_own_service() -> None:
    named = {service: _names(import_module(f"services.{service}")) for service in SERVICES}
    assert [fact.type for fact in FACTS.values() if fact.__name__ not in named[fact.service]] == []


def test_names_on_the_wire_belong_to_the_module_that_defines_them(definitions: Definitions) -> None:
    kinds: list[Any] = [*definitions.commands.values(), *definitions.questions.values(), *definitions.facts.values()]
    for kind in (*kinds, *definitions.records.values()):
        assert kind.__module__ == f"shared.contracts.{kind.service}"


def test_the_fields_that_subjects_and_envelopes_are_made_of_are_required() -> None:
    for fact in FACTS.values():
        for field in (fact.about, fact.within):
            assert fact.model_fields[field].is_required(), f"{fact.type}: {field}"


def test_commands_refuse_unknown_fields_everywhere_and_hearers_ignore_them_everywhere() -> None:
    for name, model in messages().items():
        strict = issubclass(model, Command | Question)
        for part in {model, *_parts(model)}:
            assert (part.model_config.get("extra") == "forbid") is strict, f"{name}: {part.__name__}"


@pytest.mark.parametrize(
    ("command", "codes"),
    [
        (
            SubmitApplication,
            (
                "already-applied",
                "call-not-open",
                "id-taken",
                "late",
                "no-such-call",
                "required",
                "results-published",
            ),
        ),
        (WithdrawApplication, ("already-decided", "no-such-application")),
        (
            AssignEvaluator,
            (
                "conflict-of-interest",
                "enough-reviewers",
                "no-such-application",
                "no-such-call",
                "not-allowed",
                "ranking-finalised",
            ),
        ),
    ],
)
def test_the_codes_of_rejections_are_read_from_the_code(
    definitions: Definitions, command: type[Command], codes: tuple[str, ...]
) -> None:
    assert rejections(definitions.handler(command)) == codes


def test_a_command_without_handler_is_found(definitions: Definitions) -> None:
    assert definitions.handler(SubmitApplication) is not None

    class Unhandled(Command):
        service = "aid_calls"

    assert definitions.handler(Unhandled) is None


def test_who_hears_is_found(definitions: Definitions) -> None:
    assert definitions.hearers(CallClosed) == ["evaluation"]


def test_docstrings_say_of_every_message_what_it_is() -> None:
    for name, model in messages().items():
        assert (model.__doc__ or "").strip().endswith((".", "?", ")", "`")), name
        assert model.__doc__ != model.__base__.__doc__, name


def _names(package: Any) -> set[str]:
    """The names that a service's modules use, besides importing them and speaking of them in annotations."""
    folder = Path(str(inspect.getsourcefile(package))).parent
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in folder.glob("*.py")]
    return {name for tree in trees for name in _used(tree)}


def _used(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            yield name
    for field, inside in ast.iter_fields(node):
        if field not in {"annotation", "returns"}:
            for one in inside if isinstance(inside, list) else [inside]:
                if isinstance(one, ast.AST):
                    yield from _used(one)


def _parts(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The models inside a model, at any depth."""
    for field in model.model_fields.values():
        for part in _models(field.annotation):
            yield part
            yield from _parts(part)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inside in get_args(annotation):
        yield from _models(inside)
