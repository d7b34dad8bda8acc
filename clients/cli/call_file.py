"""The file of a story's call: its rules, its applications, its reviews; checked whole before anything starts.

What only the services can know (who is eligible, which totals diverge) is not checked here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from clients.cli.call_checks import call_faults, crossed_faults
from clients.cli.call_parts import Part, read_part, typos
from clients.cli.json_file import Filed, read_json
from clients.cli.spreadsheet import UnreadableFile
from shared.contracts.aid_calls import AttachedDocument, CallRules, Criterion, Key, Score, Total
from shared.contracts.people import (
    STORABLE,
    BirthDate,
    Code,
    Document,
    Email,
    LongText,
    Money,
    Percent,
    PersonalName,
    PositiveMoney,
    RegionCode,
    Sector,
    Title,
)


class UnreadableCall(Exception):  # noqa: N818
    """The file cannot be played; the message names every problem with its place, in Spanish."""

    def __init__(self, message: str, faults: Collection[str] = ()) -> None:
        super().__init__("\n".join([message, *(f"  - {fault}" for fault in faults)]))
        self.faults = tuple(faults)


def _dni(number: str) -> str:
    return Document(number=number).number


def _written_date(value: Any) -> Any:
    """Dates are text here: pydantic would take a number for the seconds since 1970."""
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value.strip()):
        raise PydanticCustomError("date_parsing", "YYYY-MM-DD")
    return value.strip()


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
    fares: Annotated[dict[RegionCode, Money], Field(min_length=1)]
    criteria: Annotated[tuple[Criterion, ...], Field(min_length=1, max_length=20)]
    score_min: Score
    score_max: Score
    reviews_required: Annotated[int, Field(ge=1, le=9)] = 2
    divergence_over: Total
    minimum_total: Total
    required_documents: Annotated[tuple[Key, ...], Field(max_length=20)] = ()
    rounding: str | None = None
    evaluators: Annotated[tuple[Email, ...], Field(min_length=1)]


class FiledApplication(_Filed):
    """One application, under the file's own reference."""

    ref: Annotated[str, Field(min_length=1, max_length=40)]
    dni: Annotated[str, AfterValidator(_dni)]
    given: PersonalName
    family: PersonalName
    email: Email
    birth: Annotated[BirthDate, BeforeValidator(_written_date)]
    country: Annotated[str, Field(pattern="^[A-Z]{2}$")] = "PE"
    region: RegionCode | None = None
    sector: Sector
    requested: PositiveMoney
    project: Title
    motivation: LongText = ""
    documents: Annotated[tuple[AttachedDocument, ...], Field(max_length=20)] = ()


class FiledReview(_Filed):
    """One evaluator's scores of one application."""

    ref: str
    evaluator: Email
    scores: dict[Key, Score]
    comment: Annotated[str, Field(max_length=5000), STORABLE] = ""


class CallFile(_Filed):
    """A call with everything that happens to it."""

    call: FiledCall
    applications: Annotated[tuple[FiledApplication, ...], Field(min_length=1)]
    reviews: tuple[FiledReview, ...] = ()

    def rules(self, *, opens_at: datetime, closes_at: datetime, meeting_id: UUID | None = None) -> CallRules:
        """The rules as the contract has them, open between two instants."""
        filed = self.call.model_dump(exclude={"evaluators", "title", "rounding"})
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

    def missing_reviews(self, eligible: Collection[str]) -> list[str]:
        """Which of these applications have fewer reviews than the call requires, in words.

        Whether one more than required is missing or superfluous is known only when the totals are.
        """
        count, required = Counter(review.ref for review in self.reviews), self.call.reviews_required
        return [
            f"postulación {one.ref}: es apta y le faltan evaluaciones (tiene {count[one.ref]} de {required})"
            for one in self.applications
            if one.ref in eligible and count[one.ref] < required
        ]

    def unused_reviews(self, eligible: Collection[str]) -> int:
        """How many reviews are of applications that do not come before the jury."""
        return sum(review.ref not in eligible for review in self.reviews)


def read_call_file(path: Path, *, today: date | None = None) -> CallFile:
    """Read and check a file; raises UnreadableCall with every problem at once.

    `today` is the last day on which anybody in it can have been born; by default today in Lima.
    """
    try:
        filed = read_json(path)
    except UnreadableFile as error:
        raise UnreadableCall(str(error)) from error
    if faults := list(_faults(filed, today or (datetime.now(UTC) - timedelta(hours=5)).date())):
        raise UnreadableCall(f"{path.name} tiene {len(faults)} problema(s):", faults)
    return CallFile.model_validate(filed.content)


def _faults(filed: Filed, today: date) -> Iterator[str]:
    content = filed.content
    if filed.repeated:
        yield f"hay campos repetidos dentro de un mismo objeto: {', '.join(filed.repeated)}"
    if not isinstance(content, dict):
        yield "el archivo debe tener call, applications y reviews"
        return
    call = read_part(FiledCall, content.get("call"), place="call")
    applications, reviews = _listed(content, "applications"), _listed(content, "reviews")
    yield from call.faults
    yield from typos(FiledCall, content.get("call"), place="call")
    yield from call_faults(call)
    if not applications:
        yield "applications: debe ser una lista con al menos una postulación"
    if not isinstance(content.get("reviews", []), list):
        yield "reviews: debe ser una lista"
    for part in (*applications, *reviews):
        yield from part.faults
    yield from crossed_faults(call, applications, reviews, today=today)


def _listed(content: dict[str, Any], name: str) -> list[Part]:
    """The parts under this name, each under its number and its reference if that can be read."""
    models: dict[str, tuple[type[BaseModel], str]] = {
        "applications": (FiledApplication, "postulación"),
        "reviews": (FiledReview, "evaluación"),
    }
    model, called = models[name]
    raw = content.get(name)
    return [
        read_part(model, one, place=f"{called} {number}{_reference(one)}")
        for number, one in enumerate(raw if isinstance(raw, list) else [], start=1)
    ]


def _reference(raw: Any) -> str:
    ref = raw.get("ref") if isinstance(raw, dict) else None
    return f" ({ref})" if isinstance(ref, str) and ref.strip() else ""
