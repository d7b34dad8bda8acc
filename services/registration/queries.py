"""What registration can tell: a meeting, a person's id, how many registered; and people's current records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from services.registration.domain import Place, identity_of_document
from shared.contracts.registration import (
    TEAM,
    FindPerson,
    Meeting,
    MeetingAnswer,
    Person,
    PersonFound,
    RegistrationCounts,
    RegistrationCountsAnswer,
)
from shared.db import Tx
from shared.identity import Actor
from shared.messaging import QuestionRefused


async def meeting(tx: Tx, question: Meeting, actor: Actor | None) -> MeetingAnswer:
    """A meeting by its code: a draft is seen by the team only."""
    row = await tx.fetchrow(
        """
        select meeting_id, code, title, theme, city, region, venue, starts_at, ends_at, capacity,
               state, confirmed, waitlisted
          from registration.meetings where code = $1
        """,
        question.code,
    )
    team = actor is not None and actor.is_one_of(TEAM)
    if row is None or (row["state"] == "draft" and not team):
        raise QuestionRefused("no-such-meeting")
    return MeetingAnswer(**row)


async def find_person(tx: Tx, question: FindPerson, _actor: Actor | None) -> PersonFound:
    """The id of the person with this document."""
    person_id = await tx.fetchval(
        "select person_id from registration.people where identity = $1",
        identity_of_document(question.document),
    )
    return PersonFound(person_id=person_id)


async def counts(tx: Tx, question: RegistrationCounts, _actor: Actor | None) -> RegistrationCountsAnswer:
    """How many have a place, wait, have cancelled; the first two also by region and sector, where stated."""
    rows = await tx.fetch(
        """
        select one.state, one.region, one.sector, count(one.registration_id)
          from registration.meetings as meeting
          left join registration.registrations as one using (meeting_id)
         where meeting.meeting_id = $1
         group by 1, 2, 3
        """,
        question.meeting_id,
    )
    if not rows:
        raise QuestionRefused("no-such-meeting")
    states = _sums(rows, "state")
    people = [row for row in rows if row["state"] in {Place.CONFIRMED, Place.WAITLISTED}]
    return RegistrationCountsAnswer(
        confirmed=states.get(Place.CONFIRMED, 0),
        waitlisted=states.get(Place.WAITLISTED, 0),
        cancelled=states.get(Place.CANCELLED, 0),
        people=sum(row["count"] for row in people),
        by_region=_sums(people, "region"),
        by_sector=_sums(people, "sector"),
    )


async def current(tx: Tx, things: Sequence[str]) -> Mapping[str, Person]:
    """The records of people as they are now, by id, for the relay."""
    rows = await tx.fetch("select * from registration.people where person_id = any($1::uuid[])", list(things))
    return {str(row["person_id"]): Person(**row) for row in rows}


def _sums(rows: Sequence[Any], column: str) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for row in rows:
        if row[column] is not None:
            sums[row[column]] += row["count"]
    return dict(sums)
