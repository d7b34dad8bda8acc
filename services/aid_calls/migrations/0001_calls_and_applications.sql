-- migrate:up
create table aid_calls.calls (
    call_id       uuid primary key,
    code          text not null unique,
    state         text not null default 'draft'
                  check (state in ('draft', 'open', 'closed', 'results-published')),
    version       int not null default 1,
    opens_at      timestamptz not null,
    closes_at     timestamptz not null,
    host_region   text not null,
    fund          numeric(12, 2) not null check (fund >= 0),
    rules         json not null,
    total_awarded numeric(12, 2) not null default 0 check (total_awarded <= fund),
    check (opens_at < closes_at)
);
-- What the clock has to look at: few rows, however many calls there have been.
create index calls_by_clock on aid_calls.calls (state) where state in ('draft', 'open', 'closed');

create table aid_calls.applications (
    application_id   uuid primary key,
    call_id          uuid not null references aid_calls.calls,
    person_id        uuid not null,
    state            text not null default 'submitted'
                     check (state in ('submitted', 'withdrawn', 'eligible', 'ineligible',
                                      'awarded', 'reserve', 'not-selected')),
    version          int not null default 1,
    country          text not null,
    region           text,
    birth            date not null,
    sector           text not null,
    requested        numeric(12, 2) not null check (requested > 0),
    aid              numeric(12, 2) not null check (aid >= 0),
    project          text not null,
    motivation       text not null,
    documents        json not null,
    accepted_at      timestamptz not null,
    reasons          text[] not null default '{}',
    rank             int,
    total            numeric(5, 2),
    amount           numeric(12, 2),
    money            text check (money in ('reserved', 'general')),
    reserve_position int
);
-- One per person and call; a withdrawn one does not count.
create unique index applications_one_per_person on aid_calls.applications (call_id, person_id)
    where state <> 'withdrawn';
-- Those that the index above leaves out; one on all would tempt the clock to read every application of a call.
create index applications_withdrawn on aid_calls.applications (call_id) where state = 'withdrawn';
-- Those that wait to be ruled on: empty but while a call is open or has just closed.
create index applications_undecided on aid_calls.applications (call_id, application_id) where state = 'submitted';

-- migrate:down
