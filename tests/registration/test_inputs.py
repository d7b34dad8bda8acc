"""Whatever the contracts let pass is decided, and kept as it was stated: nothing raises in the database."""

from __future__ import annotations

from datetime import date
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from services.registration import commands, queries
from shared.contracts.people import Gender, Language, PersonDetails, Sector
from shared.contracts.peru import REGIONS
from tests.registration.cast import a_meeting, a_place, by, known_as, organiser, published, sent
from tests.registration.conftest import Pool, undone

TEAM = organiser()

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=120)
LOCAL = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs", "Z", "Cc"]), min_size=1, max_size=64)
NUMBERS = st.sampled_from(["974 009 052", "+51 1 4567890", "+683 4000", "+81 0120 000 000", "+49 30 123456", None])
DOCUMENTS = st.one_of(
    st.none(),
    st.builds(lambda number: {"number": str(number)}, st.integers(1, 99_999_999)),
    st.builds(
        lambda kind, number: {"type": kind, "number": number},
        st.sampled_from(["passport", "foreigner-card"]),
        st.from_regex(r"\A[A-Z0-9]{5,20}\Z"),
    ),
)
CONSENTS = st.lists(
    st.fixed_dictionaries(
        {
            "purpose": st.from_regex(r"\A[a-z-]{3,40}\Z"),
            "text_version": TEXT.map(lambda text: text[:40]),
            "given_at": st.just("2019-10-01T00:00:00-05:00"),
        }
    ),
    max_size=4,
)


@st.composite
def stated(draw: st.DrawFn) -> PersonDetails | None:
    """Anything that passes as somebody's details."""
    answers: dict[str, Any] = {
        "document": draw(DOCUMENTS),
        "given": draw(TEXT),
        "family": draw(TEXT),
        "email": f"{draw(LOCAL)}@example.org",
        "phone": draw(NUMBERS),
        "birth": draw(st.none() | st.dates(date(1900, 1, 1), date(2199, 12, 31))),
        "region": draw(st.none() | st.sampled_from(sorted(REGIONS))),
        "sector": draw(st.none() | st.sampled_from(Sector)),
        "gender": draw(st.none() | st.sampled_from(Gender)),
        "language": draw(st.sampled_from(Language)),
        "consents": draw(CONSENTS),
    }
    try:
        return PersonDetails.model_validate(answers)
    except ValidationError:
        return None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(people=st.lists(stated().filter(bool), min_size=1, max_size=6), capacity=st.integers(1, 4))
async def test_everything_that_passes_is_decided(pool: Pool, people: list[PersonDetails], capacity: int) -> None:
    meeting = a_meeting(capacity=capacity)
    async with undone(pool) as tx:
        await commands.create_meeting(tx, meeting, by(TEAM))
        await commands.publish_meeting(tx, published(meeting.meeting_id), by(TEAM))
        known = await commands.register_people(tx, [sent(known_as(one), TEAM) for one in people])
        places = [sent(a_place(meeting.meeting_id, one), TEAM) for one in people]
        registered = await commands.register_participants(tx, places)
        assert [one.problems for one in (*known, *registered)] == [()] * (2 * len(people))
        ids = [(one.ids or {})["person_id"] for one in known]
        assert [(one.ids or {})["person_id"] for one in registered] == ids
        records = await queries.current(tx, ids)
    first = dict(reversed(list(zip(ids, people, strict=True))))
    assert {person_id: (record.given, record.email) for person_id, record in records.items()} == {
        person_id: (details.given, details.email) for person_id, details in first.items()
    }
