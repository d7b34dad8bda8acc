"""docs/events.md: every fact, record, command and question for people, from the contracts and the services."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from deploy.documents.components import allowed
from deploy.documents.definitions import Definitions
from deploy.documents.fields import code_lists, table
from deploy.documents.headers import example_headers, fact_headers
from deploy.documents.rejections import OF_ANY_COMMAND, rejections
from deploy.documents.released import address, messages
from deploy.documents.samples import sample
from shared.contracts import Command, Fact, Question, Record
from shared.contracts.aid_calls import AidAwarded
from shared.contracts.wire import MOST_PROBLEMS, SHAPE_CODES

_INTRODUCTION = Path(__file__).with_name("introduction.md")
_EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "follow_awards.py"


def page(definitions: Definitions, *, samples: Path) -> str:
    """The whole page."""
    parts = [
        _introduction(samples),
        "## Facts",
        *_by_service(definitions, definitions.facts.values()),
        "## Records",
        *_by_service(definitions, definitions.records.values()),
        "## Commands",
        _ABOUT_COMMANDS.format(
            any=_codes(sorted(OF_ANY_COMMAND - SHAPE_CODES)),
            shape=_codes(sorted(SHAPE_CODES)),
            most=MOST_PROBLEMS,
        ),
        *_by_service(definitions, definitions.commands.values()),
        "## Questions",
        _ABOUT_QUESTIONS,
        *_by_service(definitions, definitions.questions.values()),
        "## Code lists",
        "\n".join(code_lists(messages().values())),
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


_ABOUT_COMMANDS = """\
A command travels as `{{"data": …, "actor": …}}`: its fields, and the token of the person who sends it. It is accepted
when JetStream acknowledges it; what became of it is told on `conecta.outcome.<client>.<instance>.<command-id>`, and by
the question `command-outcome`. Unknown fields are refused, so that a typo is not lost.

Besides the codes below, any command may be rejected with {any}, and with a code of its shape: {shape}
(`more-problems` ends a list of more than {most}; `discarded` is an operator's decision about one that failed).
"""

_ABOUT_QUESTIONS = """\
A question travels like a command, on core NATS, and is answered in the reply. A reply with the header `Conecta-Error`
is a refusal: the header has the code (`not-allowed`, `invalid` with every problem in the body, `database-away`,
`failed`, or one named below).
"""


def _introduction(samples: Path) -> str:
    award = sample(samples, AidAwarded.type)
    headers = example_headers(fact_headers(AidAwarded), subject=award[AidAwarded.about])
    filled = {
        "@@example@@": _EXAMPLE.read_text(encoding="utf-8").strip(),
        "@@headers@@": "\n".join(f"{name}: {value}" for name, value in headers.items()),
        "@@body@@": json.dumps(award, indent=1, ensure_ascii=False),
    }
    text = _INTRODUCTION.read_text(encoding="utf-8")
    for mark, content in filled.items():
        text = text.replace(mark, content)
    return text


def _by_service(definitions: Definitions, kinds: Iterable[type[Fact | Record | Command | Question]]) -> Iterator[str]:
    for service in definitions.services:
        own = [kind for kind in kinds if kind.service == service]
        if own:
            yield f"### {service}"
        for kind in own:
            yield "\n".join(_section(definitions, kind))


def _section(definitions: Definitions, kind: type[Fact | Record | Command | Question]) -> Iterator[str]:
    yield from (f"#### {kind.name}", "", _prose(kind.__doc__ or ""), "")
    yield f"- wire name `{kind.type}`"
    if issubclass(kind, Command):
        codes = rejections(definitions.handler(kind))
        yield f"- sent to `{kind.subject()}`; who may: {allowed(kind.may)}"
        yield f"- rejected with {_codes(codes)}" if codes else "- no rejections of its own"
    elif issubclass(kind, Question):
        yield f"- sent to `{kind.subject()}`; who may: {allowed(kind.may)}"
    else:
        yield from _told(definitions, kind)
    yield from ("", *table(kind))
    if issubclass(kind, Question):
        yield from ("", f"Answer: {_prose(kind.answer.__doc__ or '')}", "", *table(kind.answer))


def _told(definitions: Definitions, kind: type[Fact | Record]) -> Iterator[str]:
    last = kind.within if issubclass(kind, Fact) else kind.about
    hearers = definitions.hearers(kind)
    yield f"- published on `{address(kind.subjects(), last)}`, about `{kind.about}`"
    yield f"- heard by {', '.join(hearers)}" if hearers else "- heard by no service; for those who follow"


def _prose(docstring: str) -> str:
    paragraphs = [" ".join(part.split()) for part in docstring.strip().split("\n\n")]
    return "\n\n".join(paragraphs)


def _codes(codes: Iterable[str]) -> str:
    return ", ".join(f"`{code}`" for code in codes)
