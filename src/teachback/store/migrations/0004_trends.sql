-- Roll-ups for trends. A trace belongs to the hour in which it started; so does what is said of it.

-- The dimensions of a trace.
create view trend_place as
select t.project_id, t.id, t.started_at,
       coalesce(t.response_model, t.request_model, '') as model,
       coalesce((select concat(item->>'name', '@', item->>'version')
                 from jsonb_array_elements(t.context) as item
                 where item->>'kind' = 'system_prompt' limit 1), '') as prompt,
       t.environment,
       coalesce(t.role, '') as role,
       coalesce(t.surface, '') as surface,
       coalesce(t.locale, '') as locale,
       coalesce(t.release, '') as release,
       (t.error is not null)::int as failed,
       t.latency_ms,
       t.cost_usd
from trace t;

-- The same with what was said of it: what a trace counts for.
create view trend_trace as
select t.*, said.feedback, said.judged, said.negative, said.corrected
from trend_place t cross join lateral (
    select count(*)::int as feedback,
           coalesce(max((f.source = 'end_user' and f.kind <> 'implicit')::int), 0) as judged,
           coalesce(max((f.source = 'end_user' and f.kind <> 'implicit' and f.negative)::int), 0)
               as negative,
           coalesce(max((f.source = 'end_user' and f.correction is not null)::int), 0)
               as corrected
    from feedback f
    where f.project_id = t.project_id and f.trace_id = t.id and not f.withdrawn
) as said;

-- Combinations of dimensions that occur.
create table trend_slice (
    project_id uuid not null,
    id uuid not null,
    model text not null,
    prompt text not null,
    environment text not null,
    role text not null,
    surface text not null,
    locale text not null,
    release text not null,
    primary key (project_id, id)
);

create table trend_cell (
    project_id uuid not null,
    width text not null check (width in ('hour', 'day')),
    at timestamptz not null,
    slice_id uuid not null,
    traces bigint not null,
    failed bigint not null,
    judged bigint not null,
    negative bigint not null,
    corrected bigint not null,
    feedback bigint not null,
    latency_n bigint not null,
    latency_sum double precision not null,
    latency_squares double precision not null,
    cost_n bigint not null,
    cost_sum double precision not null,
    cost_squares double precision not null,
    primary key (project_id, width, at, slice_id)
);

-- Traces of a cell of which an end user gave this reason.
create table trend_reason (
    project_id uuid not null,
    width text not null check (width in ('hour', 'day')),
    at timestamptz not null,
    slice_id uuid not null,
    reason text collate "C" not null,
    traces bigint not null,
    primary key (project_id, width, at, slice_id, reason)
);

-- Scores given in a cell under this name, by anybody.
create table trend_score (
    project_id uuid not null,
    width text not null check (width in ('hour', 'day')),
    at timestamptz not null,
    slice_id uuid not null,
    name text collate "C" not null,
    n bigint not null,
    total double precision not null,
    squares double precision not null,
    primary key (project_id, width, at, slice_id, name)
);

-- Hours whose cells are out of date; appended in the transaction of the record. Until they are
-- worked off, a trend reads such an hour from the records themselves.
create table trend_dirty (
    project_id uuid not null,
    at timestamptz not null
);
create index trend_dirty_at on trend_dirty (project_id, at);

insert into trend_dirty
select distinct project_id, date_trunc('hour', started_at, 'UTC') from trace;
