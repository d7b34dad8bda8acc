from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from uuid_utils.compat import uuid7

from clients.cli.call_file import CallFile, UnreadableCall, read_call_file
from shared.contracts.aid_calls import CallRules
from shared.contracts.people import half_up

SAMPLE = Path(__file__).parents[1] / "data" / "movilidad-cusco-2019.json"
CONTENT: dict[str, Any] = json.loads(SAMPLE.read_text("utf-8"))
TODAY = date(2026, 11, 24)
Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "convocatoria.json"


def faults(file: Path, content: object) -> list[str]:
    """What is wrong with a file of this content."""
    file.write_text(json.dumps(content), "utf-8")
    try:
        read_call_file(file, today=TODAY)
    except UnreadableCall as error:
        return list(error.faults)
    return []


def small() -> dict[str, Any]:
    """The sample with two applications: one with two reviews, one with three."""
    content = copy.deepcopy(CONTENT)
    content["applications"] = [one for one in content["applications"] if one["ref"] in ("A001", "A005")]
    content["reviews"] = [one for one in content["reviews"] if one["ref"] in ("A001", "A005")]
    return content


def test_the_sample_is_in_order() -> None:
    filed = read_call_file(SAMPLE)
    assert (len(filed.applications), len(filed.reviews), filed.call.fund) == (60, 123, Decimal(13500))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        # The rules.
        (lambda c: c["call"].pop("fund"), ["call, fund: falta"]),
        (lambda c: c["call"].update(fund="mucho"), ["call, fund: no es una cantidad"]),
        (lambda c: c["call"].update(fund="1.005"), ["call, fund: no es una cantidad (máximo 2 decimales)"]),
        (lambda c: c["call"].update(days=0), ["call, days: es demasiado pequeño (mínimo 1)"]),
        (lambda c: c["call"].update(code="cusco 2019"), ["call, code: no tiene el formato debido"]),
        (lambda c: c["call"].update(currency="USD"), ["call, currency: no es uno de los valores posibles"]),
        (lambda c: c["call"].update(host_region="26"), ["call, host_region: no es una región del Perú"]),
        (lambda c: c["call"]["fares"].update({"26": 1}), ["call, fares.26: no es una región del Perú"]),
        (lambda c: c["call"]["fares"].update({"25": "x"}), ["call, fares.25: no es una cantidad"]),
        (
            lambda c: c["call"].update(reserved_excluding_regions=["15", "Lima"]),
            ["call, reserved_excluding_regions n.º 2: no es una región del Perú"],
        ),
        (
            lambda c: c["call"]["criteria"][1].update(weight=31),
            ["call, criteria: los pesos suman 106 y deben sumar 100"],
        ),
        (
            lambda c: c["call"]["criteria"][1].update(weight="mucho"),
            ["call, criteria n.º 2.weight: debe ser un número entero"],
        ),
        (
            lambda c: c["call"]["evaluators"].append("EVALUADORA1@example.org "),
            ["call, evaluators: evaluadora1@example.org aparece 2 veces"],
        ),
        (
            lambda c: c["call"]["evaluators"].append("nadie"),
            ["call, evaluators n.º 8: no es un correo electrónico"],
        ),
        (
            lambda c: c["call"].update(score_min=10),
            ["call, score_max: debe ser mayor que cero y que score_min", ...],
        ),
        (lambda c: c["call"].update(score_min=-1), ["call, score_min: no puede ser negativo"]),
        (
            lambda c: c["call"].update(rounding="half even"),
            ["call, rounding: aquí se redondea siempre «half up, 2 decimals»"],
        ),
        (
            lambda c: c["call"].update(reserved_share_percentage=c["call"].pop("reserved_share_percent")),
            ["call, reserved_share_percentage: no es un campo conocido, ¿quiso decir reserved_share_percent?"],
        ),
        # The applications.
        (lambda c: c.update(applications=[]), ["applications: debe ser una lista con al menos una postulación", ...]),
        (
            lambda c: c["applications"][0].update(birth="31/12/1999"),
            ["postulación 1 (A001), birth: no es una fecha"],
        ),
        (lambda c: c["applications"][0].update(birth=946684800), ["postulación 1 (A001), birth: no es una fecha"]),
        (lambda c: c["applications"][0].update(birth="1999-02-29"), ["postulación 1 (A001), birth: no es una fecha"]),
        (lambda c: c["applications"][0].update(birth="2026-11-25"), ["postulación 1 (A001), birth: está en el futuro"]),
        (
            lambda c: c["applications"][0].update(dni="123456789"),
            ["postulación 1 (A001), dni: no es un DNI: son 8 dígitos"],
        ),
        (lambda c: c["applications"][0].pop("region"), ["postulación 1 (A001), region: falta"]),
        (
            lambda c: c["applications"][0].update(requested=0),
            ["postulación 1 (A001), requested: es demasiado pequeño (más de 0)"],
        ),
        (
            lambda c: c["applications"][0].update(sector="agricultura"),
            ["postulación 1 (A001), sector: no es uno de los valores posibles"],
        ),
        (
            lambda c: c["call"]["fares"].pop("15"),
            ["postulación 1 (A001), region: call.fares no tiene tarifa para 15 (Lima)"],
        ),
        (
            lambda c: c["applications"][1].update(dni=c["applications"][0]["dni"]),
            ["postulación 1 (A001), postulación 2 (A005), dni: es la misma persona, y cada una postula una sola vez"],
        ),
        (
            lambda c: c["applications"].append({**c["applications"][0], "dni": "12345678"}),
            ["applications, ref: A001 aparece 2 veces"],
        ),
        (lambda c: c["applications"].append("A002"), ["postulación 3: debe ser un conjunto de datos"]),
        # The reviews.
        (lambda c: c["reviews"][0].update(ref="A999"), ["evaluación 1 (A999), ref: no hay una postulación A999", ...]),
        (
            lambda c: c["reviews"][0].update(evaluator="otra@example.org"),
            ["evaluación 1 (A001), evaluator: otra@example.org no es del jurado"],
        ),
        (
            lambda c: c["reviews"][1].update(evaluator=c["reviews"][0]["evaluator"]),
            ["evaluación 2 (A001), evaluator: evaluadora1@example.org ya evaluó esta postulación"],
        ),
        (
            lambda c: c["applications"][0].update(email=c["reviews"][0]["evaluator"]),
            ["evaluación 1 (A001), evaluator: evaluadora1@example.org no puede evaluar su propia postulación"],
        ),
        (
            lambda c: c["reviews"][0]["scores"].update(relevance=10.01),
            ["evaluación 1 (A001), scores.relevance: 10.01 está fuera de 0–10"],
        ),
        (
            lambda c: c["reviews"][0]["scores"].update(relevance=8.333),
            ["evaluación 1 (A001), scores.relevance: no es una cantidad (máximo 2 decimales)"],
        ),
        (
            lambda c: c["reviews"][0]["scores"].update(impact=c["reviews"][0]["scores"].pop("relevance")),
            [
                "evaluación 1 (A001), scores: falta relevance",
                "evaluación 1 (A001), scores: impact no es un criterio",
            ],
        ),
        (
            lambda c: c["reviews"].pop(0),
            ["postulación A001: tiene menos evaluaciones (1) que las requeridas (2)"],
        ),
        (
            lambda c: c["reviews"].append({**c["reviews"][-1], "evaluator": c["call"]["evaluators"][3]}),
            ["postulación A005: tiene más evaluaciones (4) que las que puede necesitar (3)"],
        ),
        (lambda c: c.update(reviews={}), ["reviews: debe ser una lista"]),
    ],
)
def test_what_is_wrong_is_told_with_its_place(file: Path, change: Change, told: list[Any]) -> None:
    content = small()
    change(content)
    found = faults(file, content)
    if told[-1] is ...:  # and what follows from it
        found, told = found[: len(told) - 1], told[:-1]
    assert found == told


def test_a_fault_in_one_place_hides_none_in_another(file: Path) -> None:
    content = small()
    content["call"].update(fund="x", score_max=9)
    content["call"]["criteria"][0]["weight"] = 31
    content["applications"][0].update(birth="ayer", requested="nada")
    content["applications"][1]["region"] = "99"
    content["reviews"][0]["scores"]["relevance"] = "bien"
    content["reviews"][1]["scores"]["relevance"] = 9.5
    content["reviews"][2].update(ref="A404", evaluator="x")
    assert faults(file, content) == [
        "call, fund: no es una cantidad",
        "call, criteria: los pesos suman 101 y deben sumar 100",
        "postulación 1 (A001), birth: no es una fecha",
        "postulación 1 (A001), requested: no es una cantidad",
        "postulación 2 (A005), region: no es una región del Perú",
        "evaluación 1 (A001), scores.relevance: no es una cantidad",
        "evaluación 3 (A404), evaluator: no es un correo electrónico",
        "evaluación 2 (A001), scores.relevance: 9.5 está fuera de 0–9",
        *[
            f"evaluación {number} ({ref}), scores.{key}: 10 está fuera de 0–9"
            for number, ref, key in _tens(content)
            if number != 1
        ],
        "evaluación 3 (A404), ref: no hay una postulación A404",
    ]


def _tens(content: dict[str, Any]) -> list[tuple[int, str, str]]:
    return [
        (number, review["ref"], key)
        for number, review in enumerate(content["reviews"], start=1)
        for key, score in review["scores"].items()
        if score == 10
    ]


def test_a_hundred_faults_of_one_kind_are_a_hundred_lines(file: Path) -> None:
    content = copy.deepcopy(CONTENT)
    content["applications"] *= 4
    for number, one in enumerate(content["applications"]):
        content["applications"][number] = {**one, "birth": "ayer", "ref": f"B{number}", "dni": f"{number + 1:08}"}
    content["reviews"] = []
    assert faults(file, content) == [
        f"postulación {number + 1} (B{number}), birth: no es una fecha" for number in range(240)
    ]


def test_the_message_names_file_and_number_of_faults(file: Path) -> None:
    file.write_text(json.dumps({"call": None, "applications": 3}), "utf-8")
    with pytest.raises(UnreadableCall) as caught:
        read_call_file(file)
    assert str(caught.value).splitlines() == [
        "convocatoria.json tiene 2 problema(s):",
        "  - call: debe ser un conjunto de datos",
        "  - applications: debe ser una lista con al menos una postulación",
    ]


def test_the_rules_are_those_of_the_contract() -> None:
    filed = read_call_file(SAMPLE)
    opens_at = datetime(2026, 11, 24, tzinfo=UTC)
    meeting_id = uuid7()
    rules = filed.rules(opens_at=opens_at, closes_at=opens_at + timedelta(hours=1), meeting_id=meeting_id)
    stated = {name: value for name, value in CONTENT["call"].items() if name in CallRules.model_fields}
    assert rules == CallRules(
        **stated,
        title="Ayudas a la movilidad: encuentro de Cusco",
        meeting_id=meeting_id,
        opens_at=opens_at,
        closes_at=opens_at + timedelta(hours=1),
    )


def test_what_may_be_left_out_has_its_default_and_what_is_more_is_kept(file: Path) -> None:
    content = small()
    for name in ("reserved_share_percent", "reserved_excluding_regions", "reviews_required", "currency", "rounding"):
        del content["call"][name]
    content["call"].update(title="Bases", required_documents=["cv"], nota="sin importancia")
    document = {"kind": "cv", "sha256": "0" * 64}
    content["applications"][0] = {
        **content["applications"][0],
        "country": "CL",
        "region": None,
        "documents": [document],
    }
    del content["applications"][0]["motivation"], content["reviews"][0]["comment"]
    file.write_text(json.dumps(content), "utf-8")
    filed = read_call_file(file)
    call, one = filed.call, filed.applications[0]
    assert (call.reserved_share_percent, call.reserved_excluding_regions, call.reviews_required) == (0, (), 2)
    assert (call.title, call.required_documents) == ("Bases", ("cv",))
    assert (one.country, one.region, one.motivation, [kept.kind for kept in one.documents]) == ("CL", None, "", ["cv"])


@pytest.mark.parametrize("written", ["8.35", '"8.35"', "8.350", "83.5e-1"])
def test_numbers_are_exact_however_they_are_written(file: Path, written: str) -> None:
    content = small()
    content["reviews"][0]["scores"]["relevance"] = 1234567
    file.write_text(json.dumps(content).replace("1234567", written), "utf-8")
    assert read_call_file(file).reviews[0].scores["relevance"] == Decimal("8.35")


def test_required_reviews_come_before_the_extra_ones_in_the_order_of_the_file(file: Path) -> None:
    file.write_text(json.dumps(small()), "utf-8")
    first, extra = read_call_file(file).reviews_in_rounds({"A001", "A005"})
    assert [review.ref for review in first] == ["A001", "A001", "A005", "A005"]
    assert [review.ref for review in extra] == ["A005"]


def test_missing_and_unused_reviews_are_told_once_it_is_known_who_is_eligible(file: Path) -> None:
    content = small()
    content["applications"].append({**content["applications"][0], "ref": "A006", "dni": "12345678"})
    file.write_text(json.dumps(content), "utf-8")
    filed = read_call_file(file)
    assert filed.missing_reviews({"A001", "A005"}) == []
    assert filed.unused_reviews({"A001", "A005"}) == 0
    assert filed.missing_reviews({"A005", "A006"}) == [
        "postulación A006: es apta y le faltan evaluaciones (tiene 0 de 2)"
    ]
    assert filed.unused_reviews({"A005", "A006"}) == 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
PLACES = [
    *((name,) for name in ("call", "applications", "reviews")),
    *(("call", name) for name in CONTENT["call"]),
    ("call", "criteria", 0),
    *(("applications", 0, name) for name in CONTENT["applications"][0]),
    ("reviews", 0),
    *(("reviews", 0, name) for name in CONTENT["reviews"][0]),
    ("reviews", 0, "scores", "relevance"),
]


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(place=st.sampled_from(PLACES), value=JSON)
def test_nothing_anywhere_in_a_file_ends_in_anything_but_a_call_or_faults(
    file: Path, place: tuple[str | int, ...], value: object
) -> None:
    content: Any = small()
    inside = content
    for step in place[:-1]:
        inside = inside[step]
    inside[place[-1]] = value
    file.write_text(json.dumps(content), "utf-8")
    try:
        filed = read_call_file(file)
    except UnreadableCall as error:
        told = error.faults
    else:
        told = ("",)
        assert isinstance(filed, CallFile)
        assert filed.call.fund == half_up(filed.call.fund)
    assert told != ()
