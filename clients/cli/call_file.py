"""The file of a story's call: its rules, its applications, its reviews; checked whole before anything starts.

What only the services can know (who is eligible, which totals diverge) is not checked here.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from shared.contracts.aid_calls import CallRules, Criterion, Key, Score, Total
from shared.contracts.people import (
    BirthDate,
    Code,
    Document,
    Email,
    LongText,
    Money,
    Percent,
    PersonalName,
    RegionCode,
    Sector,
    Title,
)
from shared.contracts.problems import sentence
from shared.contracts.wire import problems_of


class UnreadableCall(Exception):  # noqa: N818
    """The file cannot be played; the message names every problem with its place, in Spanish."""


def _dni(number: str) -> str:
    return Document(number=number).number


class _Filed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", str_strip_whitespace=True)


class FiledCall(_Filed):
    """The rules of the call, as filed."""

    code: Code
    title: Title | None = None
    host_city: Title
    host_region: RegionCode
    currency: Literal["PEN"] = "PEN"
    fund: Money
    reserved_share_percent: Percent = 0
    reserved_excluding_regions: tuple[RegionCode, ...] = ()
    days: Annotated[int, Field(ge=1, le=60)]
    per_diem: Money
    ceiling: Money
    fares: dict[RegionCode, Money]
    criteria: Annotated[tuple[Criterion, ...], Field(min_length=1, max_length=20)]
    score_min: Score
    score_max: Score
    reviews_required: Annotated[int, Field(ge=1, le=9)] = 2
    divergence_over: Total
    minimum_total: Total
    evaluators: Annotated[tuple[Email, ...], Field(min_length=1)]


class FiledApplication(_Filed):
    """One application, under the file's own reference."""

    ref: Annotated[str, Field(min_length=1, max_length=40)]
    dni: Annotated[str, AfterValidator(_dni)]
    given: PersonalName
    family: PersonalName
    email: Email
    birth: BirthDate
    region: RegionCode
    sector: Sector
    requested: Annotated[Money, Field(gt=0)]
    project: Title
    motivation: LongText = ""


class FiledReview(_Filed):
    """One evaluator's scores of one application."""

    ref: str
    evaluator: Email
    scores: dict[Key, Score]
    comment: Annotated[str, Field(max_length=5000)] = ""


class CallFile(_Filed):
    """A call with everything that happens to it."""

    call: FiledCall
    applications: Annotated[tuple[FiledApplication, ...], Field(min_length=1)]
    reviews: tuple[FiledReview, ...] = ()

    def rules(self, *, opens_at: datetime, closes_at: datetime, meeting_id: UUID | None = None) -> CallRules:
        """The rules as the contract has them, open between two instants."""
        filed = self.call.model_dump(exclude={"evaluators", "title"})
        return CallRules.model_validate(
            {
                **filed,
                "title": self.call.title or f"Ayudas a la movilidad: encuentro de {self.call.host_city.title()}",
                "meeting_id": meeting_id,
                "opens_at": opens_at,
                "closes_at": closes_at,
            }
        )

    def reviews_in_rounds(self, refs: Collection[str]) -> tuple[list[FiledReview], list[FiledReview]]:
        """The reviews of these applications in the file's order: the required ones, then the extra ones."""
        first: list[FiledReview] = []
        extra: list[FiledReview] = []
        count = Counter[str]()
        for review in self.reviews:
            if review.ref in refs:
                count[review.ref] += 1
                (first if count[review.ref] <= self.call.reviews_required else extra).append(review)
        return first, extra


def read_call_file(path: Path) -> CallFile:
    """Read and check a file; raises UnreadableCall with every problem at once."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"), parse_float=Decimal)
    except OSError as error:
        raise UnreadableCall(f"No se puede abrir {path.name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UnreadableCall(f"{path.name} no está en UTF-8 (byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise UnreadableCall(
            f"{path.name} no es JSON: línea {error.lineno}, columna {error.colno}: {error.msg}"
        ) from error
    try:
        filed = CallFile.model_validate(content)
    except ValidationError as error:
        raise UnreadableCall(_listed(path, list(_shape_problems(content, error)))) from error
    if problems := [*_rule_problems(filed.call), *_application_problems(filed), *_review_problems(filed)]:
        raise UnreadableCall(_listed(path, problems))
    return filed


def _listed(path: Path, problems: list[str]) -> str:
    return "\n".join([f"{path.name} tiene {len(problems)} problema(s):", *(f"  - {one}" for one in problems)])


def _shape_problems(content: Any, error: ValidationError) -> Iterator[str]:
    for problem in problems_of(error):
        place = (problem.field or "").split(".")
        if place[0] in ("applications", "reviews") and len(place) > 1 and place[1].isdigit():
            yield f"{_named(content, place[0], int(place[1]))}, {'.'.join(place[2:])}: {_words(problem)}"
        else:
            yield f"{problem.field or 'archivo'}: {_words(problem)}"


def _words(problem: Any) -> str:
    return sentence(problem.code, problem.detail)


def _named(content: Any, kind: str, number: int) -> str:
    """An application or review by its place in the file, and its reference if that can be read."""
    name = {"applications": "postulación", "reviews": "evaluación"}[kind]
    try:
        return f"{name} {number + 1} ({content[kind][number]['ref']})"
    except (KeyError, IndexError, TypeError):
        return f"{name} {number + 1}"


def _rule_problems(call: FiledCall) -> Iterator[str]:
    if (weights := sum(criterion.weight for criterion in call.criteria)) != 100:
        yield f"call.criteria: los pesos suman {weights}, deben sumar 100"
    yield from _repeated("call.criteria", [criterion.key for criterion in call.criteria])
    yield from _repeated("call.evaluators", call.evaluators)
    if call.score_max <= max(call.score_min, Decimal(0)):
        yield "call.score_max: debe ser mayor que cero y que score_min"


def _repeated(place: str, values: Collection[str]) -> Iterator[str]:
    for value, times in Counter(values).items():
        if times > 1:
            yield f"{place}: {value} aparece {times} veces"


def _application_problems(filed: CallFile) -> Iterator[str]:
    yield from _repeated("applications, ref", [one.ref for one in filed.applications])
    by_person: dict[str, list[str]] = defaultdict(list)
    for one in filed.applications:
        by_person[one.dni].append(one.ref)
        if one.region not in filed.call.fares and one.region != filed.call.host_region:
            yield f"postulación {one.ref}, region: call.fares no tiene tarifa para {one.region}"
    for refs in by_person.values():
        if len(refs) > 1:
            yield f"postulaciones {', '.join(refs)}, dni: es la misma persona, y cada una postula una sola vez"


def _review_problems(filed: CallFile) -> Iterator[str]:
    refs = {one.ref for one in filed.applications}
    criteria = {criterion.key for criterion in filed.call.criteria}
    seen: set[tuple[str, str]] = set()
    for number, review in enumerate(filed.reviews, start=1):
        place = f"evaluación {number} ({review.ref})"
        if review.ref not in refs:
            yield f"{place}, ref: no hay tal postulación"
        if review.evaluator not in filed.call.evaluators:
            yield f"{place}, evaluator: {review.evaluator} no es del jurado"
        if (review.ref, review.evaluator) in seen:
            yield f"{place}, evaluator: {review.evaluator} ya la evaluó"
        seen.add((review.ref, review.evaluator))
        yield from (f"{place}, scores: falta {key}" for key in sorted(criteria - review.scores.keys()))
        yield from (f"{place}, scores: {key} no es un criterio" for key in sorted(review.scores.keys() - criteria))
        for key, score in review.scores.items():
            if not filed.call.score_min <= score <= filed.call.score_max:
                yield f"{place}, scores.{key}: {score} está fuera de {filed.call.score_min}–{filed.call.score_max}"
