"""Whatever the contracts let pass is decided, ruled on and allocated: nothing raises in the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from services.aid_calls import commands, queries
from shared.contracts import Command
from shared.contracts.aid_calls import (
    Application,
    Call,
    CallResults,
    CallState,
    CreateCall,
    SubmitApplication,
)
from shared.contracts.evaluation import RankingFinalised
from shared.contracts.people import Sector
from shared.contracts.peru import REGIONS
from shared.db import Tx
from tests.aid_calls.cast import TEAM, a_ranking, by, participant, sent, stated_rules
from tests.aid_calls.conftest import Pool, undone

M = TypeVar("M", bound=Command)

END = datetime(2200, 1, 1, tzinfo=UTC)

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=200)
KEYS = st.from_regex(r"\A[a-z][a-z0-9-]{0,39}\Z")
REGION = st.sampled_from(sorted(REGIONS))
INSTANTS = st.datetimes(datetime(2000, 1, 3), datetime(2199, 12, 29), timezones=st.just(UTC))  # noqa: DTZ001
MONEY = st.one_of(
    st.sampled_from(["0", "0.00", "0.01", "9999999999.99", "1e9", "850", "0.5", "1200.00", "-0"]),
    st.integers(0, 10**12 - 1).map(lambda cents: str(Decimal(cents) / 100)),
)
SCORES = st.sampled_from(["0", "1", "5", "10", "20", "0.01", "-1", "9999.99", "1e3"])


@st.composite
def criteria(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Mostly with weights that add to 100, as they must."""
    keys = draw(st.lists(KEYS, min_size=1, max_size=5, unique=draw(st.booleans())))
    weights = [100 // len(keys)] * len(keys)
    weights[0] += 100 - sum(weights)
    if draw(st.integers(0, 9)) == 0:
        weights = [draw(st.integers(1, 100)) for _ in keys]
    return [{"key": key, "name": draw(TEXT), "weight": weight} for key, weight in zip(keys, weights, strict=True)]


@st.composite
def calls(draw: st.DrawFn) -> CreateCall | None:
    """Anything that passes as a call."""
    opens_at, closes_at = draw(st.lists(INSTANTS, min_size=2, max_size=2).map(sorted))
    low, high = draw(st.one_of(st.sampled_from([("0", "10"), ("1", "5"), ("0", "9999.99")]), st.tuples(SCORES, SCORES)))
    stated = stated_rules(
        code=draw(st.from_regex(r"\A[A-Z0-9][A-Z0-9-]{1,39}\Z")),
        title=draw(TEXT),
        host_region=draw(REGION),
        host_city=draw(TEXT),
        opens_at=opens_at,
        closes_at=closes_at,
        fund=draw(MONEY),
        reserved_share_percent=draw(st.integers(0, 100)),
        reserved_excluding_regions=draw(st.lists(REGION, max_size=4)),
        days=draw(st.integers(1, 60)),
        per_diem=draw(MONEY),
        ceiling=draw(MONEY),
        fares=draw(st.dictionaries(REGION, MONEY, min_size=draw(st.integers(0, 5)), max_size=25)),
        criteria=draw(criteria()),
        score_min=low,
        score_max=high,
        reviews_required=draw(st.integers(1, 9)),
        divergence_over=draw(st.sampled_from(["0", "20", "100", "33.33"])),
        minimum_total=draw(st.sampled_from(["0", "60", "100", "59.99"])),
        required_documents=draw(st.lists(KEYS, max_size=4)),
    )
    return _read(CreateCall, {"call_id": draw(st.uuids()), **stated})


@st.composite
def applications(draw: st.DrawFn) -> SubmitApplication | None:
    """Anything that passes as an application; its call is filled in later."""
    document = st.fixed_dictionaries({"kind": KEYS, "sha256": st.just("0f" * 32)})
    return _read(
        SubmitApplication,
        {
            "application_id": draw(st.uuids()),
            "call_id": UUID(int=0),
            "country": draw(st.sampled_from(["PE", "PE", "PE", "BO", "ZZ"])),
            "region": draw(st.none() | REGION),
            "birth": draw(st.dates(date(1900, 1, 1), date(2199, 12, 31))),
            "sector": draw(st.sampled_from(Sector)),
            "requested": draw(MONEY),
            "project": draw(TEXT),
            "motivation": draw(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))),
            "documents": draw(st.lists(document, max_size=4)),
        },
    )


def _read(model: type[M], stated: dict[str, Any]) -> M | None:
    try:
        return model.model_validate(stated)
    except ValidationError:
        return None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    call=calls().filter(bool),
    people=st.lists(applications().filter(bool), min_size=1, max_size=6),
    moments=st.lists(INSTANTS, min_size=6, max_size=6),
    total=st.sampled_from(["0", "59.99", "60", "100"]),
)
async def test_everything_that_passes_is_decided(
    pool: Pool, call: CreateCall, people: list[SubmitApplication], moments: list[datetime], total: str
) -> None:
    async with undone(pool) as tx:
        created = await commands.create_call(tx, call, by(TEAM))
        if created.problems:
            assert await tx.fetchval("select count(*) from aid_calls.calls") == 0
            return
        told = await queries.call(tx, Call(code=call.code), None)
        assert dict(CallState(**dict(told))) == dict(CallState.model_validate(call.model_dump()))
        # Most of them in time, some at any moment.
        moments = [call.opens_at, call.closes_at, call.opens_at, *moments]
        senders = [
            sent(one.model_copy(update={"call_id": call.call_id}), participant(), at)
            for one, at in zip(people, moments, strict=False)
        ]
        decisions = await commands.submit_applications(tx, senders)
        accepted = [one.ids["application_id"] for one in decisions if one.ids]
        for key in accepted:
            await queries.application(tx, Application(application_id=UUID(key)), TEAM)
        await _played_to_the_end(tx, call.call_id, a_ranking(call.call_id, *((UUID(key), total) for key in accepted)))


async def _played_to_the_end(tx: Tx, call_id: UUID, ranking: RankingFinalised) -> None:
    """The call is closed, ruled on, ranked; its figures add up."""
    facts: Sequence[Any] = await commands.open_and_close_calls(tx, END)
    assert [fact.name for fact in facts] == ["call-opened", "call-closed"]
    rulings = await commands.rule_on_applications(tx, END)
    results = await commands.allocate_fund(tx, ranking)
    answer = await queries.call_results(tx, CallResults(call_id=call_id), TEAM)
    ended = len(answer.awarded) + len(answer.reserve) + len(answer.not_selected)
    assert (answer.undecided, answer.applications, answer.eligible) == (0, len(rulings), ended)
    assert len(results) == ended + 1
    for fact in (*facts, *rulings, *results):
        assert type(fact).model_validate_json(fact.model_dump_json()) == fact
