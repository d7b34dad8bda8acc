-- migrate:up
-- Where people are written to, as the stream PEOPLE last said. Nothing personal is left of somebody who was erased.
create table notifications.people (
    person_id uuid primary key,
    version   bigint not null,
    given     text,
    family    text,
    email     text,
    language  text not null,
    erased    boolean not null,
    -- The reply code of the mail server that refused this address; no mail is tried again until the address changes.
    refused   text,
    check (not erased or (given is null and family is null and email is null))
);

-- What mails say of meetings.
create table notifications.meetings (
    meeting_id uuid primary key,
    version    bigint not null,
    title      text not null,
    region     text not null,
    city       text not null,
    venue      text not null,
    starts_at  timestamptz not null,
    ends_at    timestamptz not null
);

-- What mails say of calls.
create table notifications.calls (
    call_id       uuid primary key,
    version       bigint not null,
    code          text not null,
    title         text not null,
    region        text not null,
    city          text not null,
    closes_at     timestamptz not null,
    minimum_total numeric(5, 2) not null
);

-- One mail per person, fact and template. `due_at` is when the mailer has to take it (again): at once when owed, later
-- when deferred, when the lease ends while sending, never when null. No name and no address: joined when it is sent.
create table notifications.deliveries (
    delivery_id uuid primary key,
    fact_id     uuid not null,
    person_id   uuid not null,
    template    text not null,
    meeting_id  uuid,
    call_id     uuid,
    params      json not null,
    state       text not null default 'owed'
                check (state in ('owed', 'sending', 'sent', 'deferred', 'failed', 'unknown', 'dropped')),
    due_at      timestamptz default now(),
    mailer      int,
    attempts    int not null default 0,
    losses      int not null default 0,
    reason      text,
    version     bigint not null default 0,
    unique (fact_id, person_id, template),
    check (num_nonnulls(meeting_id, call_id) = 1),
    check ((mailer is not null) = (state = 'sending')),
    check (due_at is not null or state in ('sent', 'failed', 'unknown', 'dropped')),
    check (due_at is null or state in ('owed', 'sending', 'deferred', 'unknown'))
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
-- What the mailer looks for: empty when everything is sent.
create index deliveries_due on notifications.deliveries (due_at, delivery_id) where due_at is not null;
-- Whose mails come free when a mailer dies: at most what the mailers hold.
create index deliveries_held on notifications.deliveries (mailer) where state = 'sending';
-- How many there are of each template in each state.
create index deliveries_counted on notifications.deliveries (template, state);

-- migrate:down
