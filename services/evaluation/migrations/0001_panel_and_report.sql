-- migrate:up
-- What the other services have said, the last version of each thing. Facts of different things come in any order:
-- nothing here refers to anything.
create table evaluation.meetings (
    meeting_id uuid primary key,
    version    bigint not null,
    city       text not null,
    region     text not null,
    capacity   int not null check (capacity >= 0)
);

create table evaluation.registrations (
    registration_id uuid primary key,
    version         bigint not null,
    state           text not null check (state in ('confirmed', 'cancelled')),
    meeting_id      uuid not null,
    person_id       uuid not null,
    region          text,
    sector          text
);
-- The people of the measure report: each by the newest of their standing registrations.
create index registrations_standing on evaluation.registrations (person_id, registration_id desc)
    include (region, sector) where state = 'confirmed';

create table evaluation.calls (
    call_id     uuid primary key,
    version     bigint not null,
    state       text not null check (state in ('open', 'closed')),
    host_region text not null,
    rules       json not null
);

create table evaluation.applications (
    application_id uuid primary key,
    version        bigint not null,
    state          text not null check (state in ('submitted', 'withdrawn', 'eligible', 'ineligible', 'awarded')),
    call_id        uuid not null,
    person_id      uuid not null,
    region         text,
    sector         text not null,
    aid            numeric(12, 2) not null check (aid >= 0),
    accepted_at    timestamptz not null,
    amount         numeric(12, 2),
    check ((state = 'awarded') = (amount is not null))
);
create index applications_of_call on evaluation.applications (call_id, accepted_at, application_id)
    where state in ('eligible', 'awarded');
-- Those that nobody has ruled on: empty but while a call is open or has just closed.
create index applications_undecided on evaluation.applications (call_id) where state = 'submitted';

-- What evaluation itself decides. A command locks its call's row above before it looks at anything below.
create table evaluation.panel_members (
    call_id      uuid not null,
    evaluator_id uuid not null,
    version      bigint not null,
    primary key (call_id, evaluator_id)
);

-- Applications that something has happened to in the panel: a review, a conflict of interest.
create table evaluation.under_review (
    application_id uuid primary key,
    version        bigint not null
);

create table evaluation.assignments (
    application_id uuid not null,
    evaluator_id   uuid not null,
    call_id        uuid not null,
    state          text not null default 'assigned' check (state in ('assigned', 'reviewed', 'conflict')),
    primary key (application_id, evaluator_id),
    foreign key (call_id, evaluator_id) references evaluation.panel_members
);
create index assignments_of_evaluator on evaluation.assignments (call_id, evaluator_id);

create table evaluation.reviews (
    application_id uuid not null,
    evaluator_id   uuid not null,
    version        bigint not null,  -- of the application in the panel: the order in which its reviews came
    scores         json not null,
    comment        text not null,
    total          numeric(5, 2) not null check (total between 0 and 100),
    submitted_at   timestamptz not null,
    primary key (application_id, evaluator_id),
    unique (application_id, version),
    foreign key (application_id, evaluator_id) references evaluation.assignments
);

create table evaluation.rankings (
    call_id       uuid primary key,
    version       bigint not null default 1,
    ranking       json not null,
    third_reviews uuid[] not null,
    finalised_at  timestamptz not null
);

create table evaluation.exchange_rates (
    date        date not null,
    source      text not null,
    pen_per_usd numeric not null check (pen_per_usd > 0),  -- as published: "3.750" stays so
    recorded_at timestamptz not null,
    primary key (date, source)
);

-- migrate:down
