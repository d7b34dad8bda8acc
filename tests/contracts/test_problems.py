"""Every code that a person may meet has its words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.contracts.problems import TEXTS, sentence, text
from shared.contracts.wire import SHAPE_CODES, Problem

ROOT = Path(__file__).parents[2]
MAKERS = {"Problem", "refused", "Refused", "take"}


def made(path: Path) -> Iterator[str]:
    """The codes of problems that a module makes, where they are literals; codes of ineligibility too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in MAKERS:
            given = [*node.args, *(one.value for one in node.keywords if one.arg == "code")]
            yield from (code for one in given for code in _literals(one))
        elif isinstance(node, ast.Yield) and node.value is not None and path.name == "domain.py":
            yield from _literals(node.value)
        elif isinstance(node, ast.FunctionDef) and "problem" in node.name and path.name == "domain.py":
            yield from (code for one in ast.walk(node) if isinstance(one, ast.Return) for code in _returned(one))


def _returned(node: ast.Return) -> Iterator[str]:
    match node.value:
        case ast.Constant() as value:
            yield from _literals(value)
        case ast.IfExp(body=one, orelse=other):
            yield from (*_literals(one), *_literals(other))


def _literals(expression: ast.expr) -> Iterator[str]:
    for node in ast.walk(expression):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and re.fullmatch("[a-z]+(-[a-z0-9]+)+", node.value)
        ):
            yield node.value


def test_every_code_of_the_shape_of_a_command_has_words() -> None:
    assert sorted(SHAPE_CODES - TEXTS.keys()) == []


def test_every_code_that_services_and_clients_make_has_words() -> None:
    modules = [path for part in ("services", "clients", "shared") for path in sorted((ROOT / part).rglob("*.py"))]
    codes = {code for path in modules for code in made(path)}
    assert {
        "weights-not-100",
        "already-applied",
        "unknown-sector",
        "under-18",
        "enough-reviewers",
    } <= codes  # it does find them
    assert sorted(codes - TEXTS.keys()) == []


def test_both_languages_speak_of_the_same_details() -> None:
    for known in TEXTS.values():
        assert re.findall(r"{\w+}", known.es) == re.findall(r"{\w+}", known.en)


@pytest.mark.parametrize(
    ("problem", "es", "en"),
    [
        (Problem(code="late"), "llegó después del cierre", "it came after the closing"),
        (Problem(code="required", field="given"), "nombres: falta", "given: is missing"),
        (
            Problem(code="weights-not-100", field="criteria", detail={"sum": 90}),
            "criteria: los pesos deben sumar 100 y suman 90",
            "criteria: weights must add to 100, they add to 90",
        ),
        (
            Problem(code="too-long", field="email", detail={"max_length": 254}),
            "correo: es demasiado largo (máximo 254)",
            "email: is too long (at most 254)",
        ),
        (
            Problem(code="missing-document-cv"),
            "falta un documento requerido: cv",
            "a required document is missing: cv",
        ),
        (Problem(code="brand-new", field="x"), "x: brand-new", "x: brand-new"),
    ],
)
def test_a_problem_is_told_in_words_with_its_field_and_its_details(problem: Problem, es: str, en: str) -> None:
    assert (text(problem), text(problem, "en")) == (es, en)


def test_a_detail_is_never_taken_for_a_template() -> None:
    assert sentence("more-problems", {"number": "{sum}", "sum": 3}) == "y {sum} problemas más"
