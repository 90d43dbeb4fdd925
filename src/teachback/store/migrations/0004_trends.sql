-- Roll-ups for trends. A trace belongs to the hour in which it started; so does what is said of it.

-- What counts: judgements in force whose trace is known to be there. One that is stored beside its
-- trace, by another process at the same moment, counts from when the two are joined.
create view trend_feedback as
select project_id, trace_id, kind, name, source, negative, correction, labels,
       -- Larger values are nobody's score, and their squares would not fit.
       case when abs(score) <= 1e100 then score end as score
from feedback where matched and not withdrawn;

-- The dimensions of a trace.
create view trend_place as
select t.project_id, t.id, t.started_at,
       coalesce(t.response_model, t.request_model, '') as model,
       coalesce((select concat(item->>'name', '@', coalesce(
                     item->>'version', substr(item->>'content_hash', 8, 12)))
                 from jsonb_array_elements(t.context) as item
                 where item->>'kind' = 'system_prompt' limit 1), '') as prompt,
       t.environment,
       coalesce(t.role, '') as role,
       coalesce(t.surface, '') as surface,
       coalesce(t.locale, '') as locale,
       coalesce(t.release, '') as release,
       (t.error is not null)::int as failed,
       -- Larger values are nobody's latency, and their squares would not fit.
       case when t.latency_ms <= 1e100 then t.latency_ms end as latency_ms,
       case when t.cost_usd <= 1e100 then t.cost_usd end as cost_usd
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
    from trend_feedback f where f.project_id = t.project_id and f.trace_id = t.id
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
    at timestamptz not null,
    marked_at timestamptz not null default clock_timestamp()
);
create index trend_dirty_at on trend_dirty (project_id, at);

-- How long it took to work an hour off the last time: the longer, the less often it is done.
create table trend_pace (
    project_id uuid not null,
    at timestamptz not null,
    took interval not null,
    primary key (project_id, at)
);

insert into trend_dirty (project_id, at)
select distinct project_id, date_trunc('hour', started_at, 'UTC') from trace;
