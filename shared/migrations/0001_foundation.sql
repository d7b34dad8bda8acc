-- migrate:up
-- What every service's schema has: run once per schema, with search_path set to it.

-- Facts, append-only (the service's role has no right to change or delete). `body` is null for a record
-- (stream PEOPLE), whose current value is looked up when it is published, so that it can be erased.
create table journal (
    position    bigint generated always as identity primary key,
    fact_id     uuid not null,
    type        text not null,
    subject     text not null,
    thing       text not null,
    version     bigint not null,
    body        json,
    cause       uuid,
    traceparent text,
    recorded_at timestamptz not null default now()
);

-- Positions not yet acknowledged by JetStream: slim, so that the relay never scans the journal.
create table unpublished (
    position bigint primary key
) with (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);

-- Commands decided: the true de-duplication, and the answer to "what became of my command".
create table commands (
    command_id uuid primary key,
    outcome    json not null,
    decided_at timestamptz not null default now()
);

-- Messages whose handling raised: how often, so that an outage or a redelivery does not count as an attempt.
create table failures (
    consumer   text not null,
    message_id text not null,
    attempts   int not null,
    error      text not null,
    last_at    timestamptz not null default now(),
    primary key (consumer, message_id)
);

-- migrate:down
