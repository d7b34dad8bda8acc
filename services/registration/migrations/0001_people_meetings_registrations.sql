-- migrate:up
create table registration.people (
    person_id       uuid primary key,
    -- What makes two rows the same person: "dni:01234567", or "email:..." of who has given no document.
    identity        text not null unique,
    document_type   text check (document_type in ('dni', 'foreigner-card', 'passport')),
    document_number text check (document_type <> 'dni' or document_number ~ '^[0-9]{8}$'),
    given           text not null,
    family          text not null,
    email           text not null,
    phone           text check (phone ~ '^\+[0-9]+$'),
    birth           date,
    region          text check (region ~ '^[0-9]{2}$'),
    sector          text,
    gender          text,
    language        text not null,
    roles           text[] not null,
    registered_at   timestamptz not null,
    version         int not null check (version >= 1),
    check ((document_type is null) = (document_number is null))
);

-- Purposes agreed to, one by one, with the text that was shown (Law 29733).
create table registration.consents (
    person_id    uuid not null references registration.people,
    purpose      text not null,
    text_version text not null,
    given_at     timestamptz not null,
    primary key (person_id, purpose, text_version)
);

-- Who gave an e-mail or a telephone number first: two who do so at the same moment meet at this key.
create table registration.contacts (
    kind      text not null check (kind in ('email', 'phone')),
    value     text not null,
    person_id uuid not null references registration.people,
    primary key (kind, value)
);

-- People who gave an e-mail or telephone number that another had given first: for the team, never merged.
create table registration.flags (
    kind        text not null check (kind in ('email', 'phone')),
    person_id   uuid not null references registration.people,
    shared_with uuid not null references registration.people check (shared_with <> person_id),
    noted_at    timestamptz not null default now(),
    primary key (kind, person_id)
);

create table registration.meetings (
    meeting_id uuid primary key,
    code       text not null unique,
    title      text not null,
    theme      text not null,
    city       text not null,
    region     text not null check (region ~ '^[0-9]{2}$'),
    venue      text not null,
    starts_at  timestamptz not null,
    ends_at    timestamptz not null,
    capacity   int not null check (capacity >= 1),
    state      text not null default 'draft' check (state in ('draft', 'published')),
    version    int not null default 1,
    -- Counted under the lock of this row.
    confirmed  int not null default 0,
    waitlisted int not null default 0 check (waitlisted >= 0),
    accepted   int not null default 0,
    check (starts_at < ends_at),
    check (confirmed between 0 and capacity)
);

create table registration.registrations (
    registration_id uuid primary key,
    meeting_id      uuid not null references registration.meetings,
    person_id       uuid not null references registration.people,
    state           text not null check (state in ('confirmed', 'waitlisted', 'cancelled')),
    version         int not null check (version >= 1),
    -- The place in line: when the bus stored the command, then the number of its acceptance.
    accepted_at     timestamptz not null,
    number          int not null,
    -- As they were then: statistics outlive what is erased of a person.
    region          text,
    sector          text,
    gender          text,
    unique (meeting_id, person_id)
);
-- The waitlist of a meeting in its order: small, however many have registered.
create index registrations_in_line on registration.registrations (meeting_id, accepted_at, number)
    where state = 'waitlisted';

-- migrate:down
