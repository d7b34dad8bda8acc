"""What the parts of a call's file must be to each other: weights, references, ranges, counts. Words in Spanish.

Every check looks only at what could be read: what could not has been named already.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from clients.cli.call_parts import Part
from shared.contracts.peru import REGIONS, folded


def call_faults(call: Part) -> Iterator[str]:
    """What is wrong with the rules, beyond the form of each field."""
    rules = call.values
    criteria = rules.get("criteria", ())
    if criteria and (weights := sum(criterion.weight for criterion in criteria)) != 100:
        yield f"call, criteria: los pesos suman {weights} y deben sumar 100"
    yield from _repeated("call, criteria", (criterion.key for criterion in criteria))
    yield from _repeated("call, evaluators", rules.get("evaluators", ()))
    yield from _range_faults(rules.get("score_min"), rules.get("score_max"))
    if (rounding := rules.get("rounding")) and not folded(rounding).startswith("half up"):
        yield "call, rounding: aquí se redondea siempre «half up, 2 decimals»"


def _range_faults(lowest: Decimal | None, highest: Decimal | None) -> Iterator[str]:
    if lowest is not None and lowest < 0:
        yield "call, score_min: no puede ser negativo"
    if highest is not None and (highest <= 0 or (lowest is not None and highest <= lowest)):
        yield "call, score_max: debe ser mayor que cero y que score_min"


def crossed_faults(call: Part, applications: Sequence[Part], reviews: Sequence[Part], *, today: date) -> Iterator[str]:
    """What is wrong with applications and reviews in the light of the rules and of each other."""
    referenced = [part.values for part in applications if "ref" in part.values]
    by_ref = {values["ref"]: values for values in referenced}
    yield from _repeated("applications, ref", (values["ref"] for values in referenced))
    yield from _twice_the_same_person(applications)
    for part in applications:
        yield from (f"{part.place}, {fault}" for fault in _application_faults(call.values, part.values, today))
    seen: set[tuple[str, str]] = set()
    for part in reviews:
        yield from (f"{part.place}, {fault}" for fault in _review_faults(call.values, part.values, by_ref, seen))
    if "reviews_required" in call.values:
        yield from _count_faults(call.values["reviews_required"], reviews, by_ref)


def _repeated(place: str, values: Iterable[str]) -> Iterator[str]:
    for value, times in Counter(values).items():
        if times > 1:
            yield f"{place}: {value} aparece {times} veces"


def _twice_the_same_person(applications: Sequence[Part]) -> Iterator[str]:
    by_person: dict[str, list[str]] = defaultdict(list)
    for part in applications:
        if "dni" in part.values:
            by_person[part.values["dni"]].append(part.place)
    for places in by_person.values():
        if len(places) > 1:
            yield f"{', '.join(places)}, dni: es la misma persona, y cada una postula una sola vez"


def _application_faults(rules: dict[str, Any], one: dict[str, Any], today: date) -> Iterator[str]:
    if "birth" in one and one["birth"] > today:
        yield "birth: está en el futuro"
    region = one.get("region")
    if region is None and "region" in one and one.get("country") == "PE":
        yield "region: falta"
    if region is not None and "fares" in rules and region not in rules["fares"] and region != rules.get("host_region"):
        yield f"region: call.fares no tiene tarifa para {region} ({REGIONS[region].name})"


def _review_faults(
    rules: dict[str, Any], one: dict[str, Any], applications: dict[str, dict[str, Any]], seen: set[tuple[str, str]]
) -> Iterator[str]:
    ref, evaluator = one.get("ref"), one.get("evaluator")
    if ref is not None and ref not in applications:
        yield f"ref: no hay una postulación {ref}"
    if evaluator is not None and "evaluators" in rules and evaluator not in rules["evaluators"]:
        yield f"evaluator: {evaluator} no es del jurado"
    if ref is not None and evaluator is not None:
        if (ref, evaluator) in seen:
            yield f"evaluator: {evaluator} ya evaluó esta postulación"
        if ref in applications and applications[ref].get("email") == evaluator:
            yield f"evaluator: {evaluator} no puede evaluar su propia postulación"
        seen.add((ref, evaluator))
    yield from _score_faults(rules, one.get("scores"))


def _score_faults(rules: dict[str, Any], scores: dict[str, Decimal] | None) -> Iterator[str]:
    if scores is None:
        return
    if "criteria" in rules:
        keys = [criterion.key for criterion in rules["criteria"]]
        yield from (f"scores: falta {key}" for key in keys if key not in scores)
        yield from (f"scores: {key} no es un criterio" for key in scores if key not in keys)
    lowest, highest = rules.get("score_min"), rules.get("score_max")
    for key, score in scores.items():
        if (lowest is not None and score < lowest) or (highest is not None and score > highest):
            yield f"scores.{key}: {score} está fuera de {lowest}–{highest}"


def _count_faults(required: int, reviews: Sequence[Part], applications: Iterable[str]) -> Iterator[str]:
    """An application with any review needs the required ones, and at most one more, where these diverge."""
    count = Counter(part.values.get("ref") for part in reviews)
    most = required + (required > 1)
    for ref in applications:
        if 0 < count[ref] < required:
            yield f"postulación {ref}: tiene menos evaluaciones ({count[ref]}) que las requeridas ({required})"
        if count[ref] > most:
            yield f"postulación {ref}: tiene más evaluaciones ({count[ref]}) que las que puede necesitar ({most})"
