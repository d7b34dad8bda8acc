"""Write-side SQL of registration: people, meetings and registrations, one statement per function."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from services.registration.domain import Known, Meeting, Newcomer, Place, Places, Registration
from shared.contracts.people import Consent, Gender, Role
from shared.contracts.registration import CreateMeeting, MeetingState, Person, RegistrationState
from shared.db import Retry, Tx


async def people_for_update(tx: Tx, *, identities: Collection[str]) -> dict[str, Known]:
    """People by identity, locked in the order of their ids."""
    if not identities:
        return {}
    rows = await tx.fetch(
        """
        select * from registration.people
         where identity = any($1::text[]) order by person_id for no key update
        """,
        list(identities),
    )
    return {row["identity"]: _known(row) for row in rows}


async def people(tx: Tx, *, person_ids: Collection[UUID]) -> dict[UUID, Known]:
    """People by id."""
    if not person_ids:
        return {}
    rows = await tx.fetch("select * from registration.people where person_id = any($1::uuid[])", list(person_ids))
    return {row["person_id"]: _known(row) for row in rows}


async def insert_people(tx: Tx, *, newcomers: Mapping[str, Newcomer], known: Mapping[str, Known]) -> None:
    """Enter people, by identity; raises Retry if another replica has just entered one of them."""
    keys = sorted(newcomers)
    details = [newcomers[key].details for key in keys]
    status = await tx.execute(
        """
        insert into registration.people
               (identity, person_id, document_type, document_number, given, family, email, phone, birth,
                region, sector, gender, language, registered_at, roles, version)
        select identity, person_id, document_type, document_number, given, family, email, phone, birth,
               region, sector, gender, language, registered_at, string_to_array(roles, ' '), version
          from unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                      $8::text[], $9::date[], $10::text[], $11::text[], $12::text[], $13::text[],
                      $14::timestamptz[], $15::text[], $16::int[])
               as new
               (identity, person_id, document_type, document_number, given, family, email, phone, birth,
                region, sector, gender, language, registered_at, roles, version)
         order by identity
        on conflict (identity) do nothing
        """,
        keys,
        [newcomers[key].person_id for key in keys],
        [one.document.type if one.document else None for one in details],
        [one.document.number if one.document else None for one in details],
        [one.given for one in details],
        [one.family for one in details],
        [one.email for one in details],
        [one.phone for one in details],
        [one.birth for one in details],
        [one.region for one in details],
        [one.sector for one in details],
        [one.gender for one in details],
        [one.language for one in details],
        [newcomers[key].at for key in keys],
        [_words(known[key].person.roles) for key in keys],
        [known[key].person.version for key in keys],
    )
    if status != f"INSERT 0 {len(keys)}":
        raise Retry


async def note_contacts(tx: Tx, *, contacts: Sequence[tuple[str, str, UUID]]) -> None:
    """Note who gave an e-mail or telephone number (kind, value, person) first, if nobody had."""
    await tx.execute(
        """
        insert into registration.contacts (kind, value, person_id)
        select kind, value, person_id
          from unnest($1::text[], $2::text[], $3::uuid[]) with ordinality
               as new (kind, value, person_id, place)
         order by kind, value, place
        on conflict do nothing
        """,
        *_columns(contacts, 3),
    )


async def flag_shared_contacts(tx: Tx, *, contacts: Sequence[tuple[str, str, UUID]]) -> None:
    """Flag, for the team, people whose e-mail or telephone number another gave first."""
    await tx.execute(
        """
        insert into registration.flags (kind, person_id, shared_with)
        select new.kind, new.person_id, first.person_id
          from unnest($1::text[], $2::text[], $3::uuid[]) as new (kind, value, person_id)
          join registration.contacts as first using (kind, value)
         where first.person_id <> new.person_id
        on conflict do nothing
        """,
        *_columns(contacts, 3),
    )


async def grant_roles(tx: Tx, *, granted: Sequence[Known]) -> None:
    """Note the roles that people have by now."""
    await tx.execute(
        """
        update registration.people as person
           set roles = string_to_array(new.roles, ' '), version = new.version
          from unnest($1::uuid[], $2::text[], $3::int[]) as new (person_id, roles, version)
         where person.person_id = new.person_id
        """,
        [one.person.person_id for one in granted],
        [_words(one.person.roles) for one in granted],
        [one.person.version for one in granted],
    )


async def insert_consents(tx: Tx, *, consents: Sequence[tuple[UUID, Consent]]) -> None:
    """Note purposes agreed to; one agreed to before, on the same text, stands."""
    await tx.execute(
        """
        insert into registration.consents (person_id, purpose, text_version, given_at)
        select person_id, purpose, text_version, given_at
          from unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[])
               as new (person_id, purpose, text_version, given_at)
         order by person_id, purpose, text_version, given_at
        on conflict do nothing
        """,
        [person_id for person_id, _ in consents],
        [consent.purpose for _, consent in consents],
        [consent.text_version for _, consent in consents],
        [consent.given_at for _, consent in consents],
    )


async def taken_meeting_fields(tx: Tx, *, meeting_id: UUID, code: str) -> list[str]:
    """Which of a meeting's id and code another meeting has."""
    row = await tx.fetchrow(
        """
        select exists (select from registration.meetings where meeting_id = $1) as meeting_id,
               exists (select from registration.meetings where code = $2) as code
        """,
        meeting_id,
        code,
    )
    return [name for name, taken in dict(row or {}).items() if taken]


async def insert_meeting(tx: Tx, *, meeting: CreateMeeting) -> None:
    """Enter a meeting as a draft."""
    await tx.execute(
        """
        insert into registration.meetings
               (meeting_id, code, title, theme, city, region, venue, starts_at, ends_at, capacity)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        """,
        meeting.meeting_id,
        meeting.code,
        meeting.title,
        meeting.theme,
        meeting.city,
        meeting.region,
        meeting.venue,
        meeting.starts_at,
        meeting.ends_at,
        meeting.capacity,
    )


async def meetings_for_update(tx: Tx, *, meeting_ids: Collection[UUID]) -> dict[UUID, Meeting]:
    """Meetings by id, locked in the order of their ids until the end of the transaction."""
    rows = await tx.fetch(
        """
        select * from registration.meetings
         where meeting_id = any($1::uuid[]) order by meeting_id for no key update
        """,
        list(meeting_ids),
    )
    return {row["meeting_id"]: _meeting(row) for row in rows}


async def publish_meeting(tx: Tx, *, meeting_id: UUID, version: int) -> None:
    """Note that a meeting is published."""
    await tx.execute(
        "update registration.meetings set state = 'published', version = $2 where meeting_id = $1",
        meeting_id,
        version,
    )


async def note_places(tx: Tx, *, meetings: Sequence[Meeting]) -> None:
    """Note how many places of each meeting, which is locked, are given out by now."""
    await tx.execute(
        """
        update registration.meetings as meeting
           set confirmed = new.confirmed, waitlisted = new.waitlisted, accepted = new.accepted
          from unnest($1::uuid[], $2::int[], $3::int[], $4::int[])
               as new (meeting_id, confirmed, waitlisted, accepted)
         where meeting.meeting_id = new.meeting_id
        """,
        [one.public.meeting_id for one in meetings],
        [one.places.confirmed for one in meetings],
        [one.places.waitlisted for one in meetings],
        [one.places.accepted for one in meetings],
    )


async def waiting_later(tx: Tx, *, since: Mapping[UUID, datetime]) -> list[tuple[UUID, datetime]]:
    """Who on these waitlists was accepted after the instant given: meetings and instants, in order."""
    rows = await tx.fetch(
        """
        select one.meeting_id, one.accepted_at
          from unnest($1::uuid[], $2::timestamptz[]) as meeting (meeting_id, since)
          join registration.registrations as one using (meeting_id)
         where one.state = 'waitlisted' and one.accepted_at > meeting.since
         order by one.accepted_at
        """,
        list(since.keys()),
        list(since.values()),
    )
    return [(row["meeting_id"], row["accepted_at"]) for row in rows]


async def registrations_of(tx: Tx, *, pairs: Collection[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], Registration]:
    """Registrations by meeting and person, cancelled ones too."""
    rows = await tx.fetch(
        """
        select one.*
          from unnest($1::uuid[], $2::uuid[]) as asked (meeting_id, person_id)
          join registration.registrations as one using (meeting_id, person_id)
        """,
        *_columns(list(pairs), 2),
    )
    return {(row["meeting_id"], row["person_id"]): _registration(row) for row in rows}


async def taken_registration_ids(tx: Tx, *, registration_ids: Collection[UUID]) -> set[UUID]:
    """Which of these ids a registration has."""
    rows = await tx.fetch(
        "select registration_id from registration.registrations where registration_id = any($1::uuid[])",
        list(registration_ids),
    )
    return {row["registration_id"] for row in rows}


async def meeting_of(tx: Tx, *, registration_id: UUID) -> UUID | None:
    """The meeting that a registration is for; it never changes, so it can be read before any lock."""
    meeting_id: UUID | None = await tx.fetchval(
        "select meeting_id from registration.registrations where registration_id = $1", registration_id
    )
    return meeting_id


async def registration(tx: Tx, *, registration_id: UUID) -> Registration:
    """A registration that exists, read under its meeting's lock."""
    row = await tx.fetchrow("select * from registration.registrations where registration_id = $1", registration_id)
    return _registration(row)


async def first_in_line(tx: Tx, *, meeting_id: UUID) -> Registration:
    """The first on the waitlist of a meeting, which is locked and has somebody waiting."""
    row = await tx.fetchrow(
        """
        select * from registration.registrations
         where meeting_id = $1 and state = 'waitlisted'
         order by accepted_at, number limit 1
        """,
        meeting_id,
    )
    return _registration(row)


async def insert_registrations(tx: Tx, *, registrations: Sequence[Registration]) -> None:
    """Enter registrations of people who had none for that meeting."""
    await tx.execute(
        """
        insert into registration.registrations
               (registration_id, meeting_id, person_id, state, version, accepted_at, number,
                region, sector, gender)
        select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::int[], $6::timestamptz[],
                             $7::int[], $8::text[], $9::text[], $10::text[])
        """,
        *_registration_columns(registrations),
    )


async def change_registrations(tx: Tx, *, registrations: Sequence[Registration]) -> None:
    """Note what has become of registrations whose meetings are locked."""
    await tx.execute(
        """
        update registration.registrations as one
           set state = new.state, version = new.version, accepted_at = new.accepted_at, number = new.number,
               region = new.region, sector = new.sector, gender = new.gender
          from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::int[], $6::timestamptz[],
                      $7::int[], $8::text[], $9::text[], $10::text[])
               as new (registration_id, meeting_id, person_id, state, version, accepted_at, number,
                       region, sector, gender)
         where one.registration_id = new.registration_id
        """,
        *_registration_columns(registrations),
    )


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [[row[index] for row in rows] for index in range(width)]


def _words(roles: Collection[Role]) -> str:
    return " ".join(sorted(roles))


def _registration_columns(registrations: Sequence[Registration]) -> list[list[Any]]:
    rows = [
        (
            one.public.registration_id,
            one.public.meeting_id,
            one.public.person_id,
            one.place,
            one.version,
            one.accepted_at,
            one.number,
            one.public.region,
            one.public.sector,
            one.public.gender,
        )
        for one in registrations
    ]
    return _columns(rows, 10)


def _known(row: Any) -> Known:
    return Known(Person(**row), Gender(row["gender"]) if row["gender"] else None)


def _meeting(row: Any) -> Meeting:
    places = Places(row["capacity"], row["confirmed"], row["waitlisted"], row["accepted"])
    return Meeting(MeetingState(**row), row["state"] == "published", row["version"], places)


def _registration(row: Any) -> Registration:
    return Registration(
        RegistrationState(**row), Place(row["state"]), row["accepted_at"], row["number"], row["version"]
    )
