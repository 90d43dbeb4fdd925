-- What was put into prompts, and what was held back, so that its effect can be measured.

-- How the project wants lessons to be chosen and given; what is absent is the default.
alter table project add column recall jsonb not null default '{}';

-- One row a lesson that was considered for a request, when any was chosen for it.
create table injection (
    project_id uuid not null references project on delete cascade,
    id uuid not null,
    trace_id text collate "C" not null,
    at timestamptz not null,
    lesson_id text collate "C" not null,
    -- Of the lesson's wording.
    version integer not null,
    -- By nearness, from 1.
    rank integer not null,
    score double precision not null,
    -- In the prompt, from 1; null when it was not chosen.
    position integer,
    tokens integer not null,
    variant text not null check (variant in ('injected', 'held_back', 'holdout')),
    -- The chance that the request had of getting what was chosen for it.
    propensity double precision not null check (propensity between 0 and 1),
    reason text not null,
    primary key (project_id, id)
);
create index injection_trace on injection (project_id, trace_id);
create index injection_lesson on injection (project_id, lesson_id, at);
