"""A released version only grows by optional fields; every other change is found, with what to do instead."""

from __future__ import annotations

from copy import deepcopy
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, create_model

from deploy.documents.command import RELEASED, ROOT
from deploy.documents.compatibility import complaints
from deploy.documents.released import Released, broken_promises, read_released, today
from deploy.documents.schemas import schema_of
from shared.contracts import Command, Fact

AWARDED = "pe.conecta.aid_calls.aid-awarded.v1"
APPLY = "pe.conecta.aid_calls.submit-application.v1"


class Inner(BaseModel):
    """A part of a message."""

    key: str
    weight: Annotated[int, Field(ge=1, le=100)] = 1


class InnerGrown(Inner):
    """The part with one thing more."""

    note: str | None = None


class InnerShrunk(BaseModel):
    """The part with one thing less."""

    key: str


class InnerStrict(Inner):
    """The part, refusing what it does not know."""

    model_config = ConfigDict(extra="forbid")


def matching(pattern: str) -> Any:
    return Annotated[str, Field(pattern=pattern)]


def text(least: int, most: int) -> Any:
    return Annotated[str, Field(min_length=least, max_length=most)]


def whole(least: int | None, most: int) -> Any:
    return Annotated[int, Field(ge=least, le=most)]


def money(unit: str, digits: int = 12) -> Any:
    return Annotated[Decimal, Field(ge=0, max_digits=digits, decimal_places=2, json_schema_extra={"x-unit": unit})]


def listed(most: int, part: Any = Inner) -> Any:
    return Annotated[tuple[part, ...], Field(max_length=most)]


RELEASED_FIELDS: dict[str, Any] = {
    "text": (text(1, 100), ...),
    "code": (matching("^[A-Z]+$"), ...),
    "number": (whole(0, 10), ...),
    "amount": (money("PEN"), ...),
    "kind": (Literal["a", "b"], ...),
    "place": (str | None, None),
    "days": (int, 3),
    "at": (AwareDatetime, ...),
    "inner": (Inner, ...),
    "maybe": (Inner | None, None),
    "listed": (listed(20), ()),
    "scores": (dict[matching("^[a-z]+$"), money("PEN")], ...),  # type: ignore[misc]
}

# How the complaint begins that a change of a command leads to, which others send, and of a fact, which others read.
FINE = ""
CHANGES: list[tuple[str, dict[str, Any], str, str | None]] = [
    ("nothing", {}, FINE, FINE),
    ("a new optional field", {"more": (int | None, None)}, FINE, FINE),
    ("a new optional field inside", {"inner": (InnerGrown, ...)}, FINE, FINE),
    ("a new required field", {"more": (int, ...)}, "more: required", None),
    ("a field removed", {"days": None}, "days: removed", None),
    ("a field renamed", {"days": None, "nights": (int, 3)}, "days: removed", None),
    ("a field inside removed", {"inner": (InnerShrunk, ...)}, "inner.weight: removed", None),
    ("a field removed where null may be", {"maybe": (InnerShrunk | None, None)}, "maybe.weight: removed", None),
    ("a field in a list removed", {"listed": (listed(20, InnerShrunk), ())}, "listed.*.weight: removed", None),
    ("optional made required", {"days": (int, ...)}, "days: required", None),
    ("required made optional", {"number": (whole(0, 10), 5)}, FINE, "number: required, and not always sent"),
    ("another default", {"days": (int, 4)}, "days: another default", None),
    ("another type", {"number": (str, ...)}, "number: integer is not read", None),
    ("null refused", {"place": (str, "")}, "place: ", None),
    ("null allowed", {"text": (text(1, 100) | None, ...)}, FINE, "text: null is not read"),
    ("a value of an enum removed", {"kind": (Literal["a"], ...)}, "kind: ['b'] is not one", None),
    ("a value of an enum added", {"kind": (Literal["a", "b", "c"], ...)}, FINE, "kind: ['c'] is not one"),
    ("an enum opened", {"kind": (str, ...)}, FINE, "kind: anything else is not one"),
    ("a narrower range", {"number": (whole(1, 10), ...)}, "number: narrower minimum", None),
    ("a wider range", {"number": (whole(0, 11), ...)}, FINE, "number: narrower maximum"),
    ("a new limit", {"days": (whole(None, 60), 3)}, "days: narrower maximum", None),
    ("a shorter text", {"text": (text(1, 99), ...)}, "text: narrower maxLength", None),
    ("a longer text", {"text": (text(1, 101), ...)}, FINE, "text: narrower maxLength"),
    ("another pattern", {"code": (matching("^[A-Z0-9]+$"), ...)}, "code: another pattern", None),
    ("a new pattern", {"place": (matching("^a") | None, None)}, "place: another pattern", None),
    ("fewer digits", {"amount": (money("PEN", digits=9), ...)}, "amount: another pattern", None),
    ("another unit", {"amount": (money("USD"), ...)}, "amount: another x-unit", None),
    ("an instant made text", {"at": (str, ...)}, FINE, "at: another format"),
    ("a shorter list", {"listed": (listed(19), ())}, "listed: narrower maxItems", None),
    ("other keys", {"scores": (dict[matching("^[a-y]+$"), money("PEN")], ...)}, "scores.*: another pattern", None),  # type: ignore[misc]
    ("other values", {"scores": (dict[matching("^[a-z]+$"), money("USD")], ...)}, "scores.*: another x-unit", None),  # type: ignore[misc]
]
each_change = pytest.mark.parametrize(("what", "change", "command", "fact"), CHANGES, ids=[one[0] for one in CHANGES])


def _schema(base: type[Command | Fact], change: dict[str, Any]) -> dict[str, Any]:
    fields = {name: field for name, field in (RELEASED_FIELDS | change).items() if field is not None}
    return schema_of(create_model("Message", __base__=base, **fields))


@each_change
def test_each_kind_of_change_is_judged_for_those_who_send_and_those_who_read(
    what: str, change: dict[str, Any], command: str, fact: str | None
) -> None:
    for base, expected in ((Command, command), (Fact, command if fact is None else fact)):
        found = complaints(_schema(base, {}), _schema(base, change), published=base is Fact)
        assert [one.startswith(expected) for one in found[:1]] == ([True] if expected else []), f"{what}: {found}"


def test_a_field_may_not_grow_where_released_readers_refuse_what_they_do_not_know() -> None:
    released = _schema(Fact, {"inner": (InnerStrict, ...)})
    grown = _schema(Fact, {"inner": (create_model("Grown", __base__=InnerStrict, note=(str | None, None)), ...)})
    assert complaints(released, grown, published=True) == [
        "inner.note: unknown fields are refused (for who reads the released version)"
    ]


def test_todays_language_keeps_what_is_released() -> None:
    assert broken_promises(read_released(ROOT / RELEASED), today()) == []


def test_everything_there_is_today_is_released() -> None:
    assert sorted(read_released(ROOT / RELEASED)) == sorted(today())


@pytest.fixture
def now() -> Released:
    return deepcopy(today())


def _broken(now: Released) -> list[str]:
    return broken_promises(read_released(ROOT / RELEASED), now)


def test_a_contract_that_is_gone_is_a_broken_promise(now: Released) -> None:
    del now[AWARDED]
    assert _broken(now) == [
        (
            f"{AWARDED}: is gone. A released version keeps its shape and meaning: "
            "undo this, and make pe.conecta.aid_calls.aid-awarded.v2 beside it"
        )
    ]


def test_another_subject_is_a_broken_promise(now: Released) -> None:
    now[AWARDED]["subject"] = "conecta.evt.aid_calls.aid-awarded.{application_id}"
    assert [one.partition(". ")[0] for one in _broken(now)] == [
        (
            f"{AWARDED}: another subject (conecta.evt.aid_calls.aid-awarded.{{call_id}} → "
            "conecta.evt.aid_calls.aid-awarded.{application_id})"
        )
    ]


def test_a_real_contract_that_loses_a_field_is_a_broken_promise(now: Released) -> None:
    del now[AWARDED]["schema"]["properties"]["rank"]
    now[AWARDED]["schema"]["required"].remove("rank")
    assert [one.partition(".v1: ")[2].partition(". ")[0] for one in _broken(now)] == [
        "rank: removed or renamed",
        "rank: required, and not always sent (for who reads the released version)",
    ]


def test_a_real_contract_with_a_new_required_field_is_a_broken_promise(now: Released) -> None:
    now[APPLY]["schema"]["properties"]["ruc"] = {"type": "string"}
    now[APPLY]["schema"]["required"].append("ruc")
    assert [one.partition(". ")[0] for one in _broken(now)] == [f"{APPLY}: ruc: required, and not always sent"]


def test_a_role_that_is_narrower_than_its_code_list_is_a_broken_promise(now: Released) -> None:
    person = "pe.conecta.registration.register-person.v1"
    now[person]["schema"]["$defs"]["Role"]["enum"].remove("accountant")
    assert [one.partition(". ")[0] for one in _broken(now)] == [
        f"{person}: roles.*: ['accountant'] is not one of the values"
    ]


def test_texts_may_change_and_contracts_may_be_added(now: Released) -> None:
    now["pe.conecta.aid_calls.aid-awarded.v2"] = now[AWARDED]
    now[AWARDED]["schema"]["description"] = "Said better."
    assert _broken(now) == []
