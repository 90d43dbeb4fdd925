-- Places: the combinations of dimensions in which traces occur, each once, under a small number
-- that stands on the trace, on what was said of it, and on what was made of it. Lists and trends
-- are narrowed by that number, without a look at the trace.

create table place (
    project_id uuid not null,
    -- From 1; what is on no trace that is known has the place 0.
    id integer generated always as identity,
    -- Of all dimensions, as an index holds no long text.
    hash uuid not null,
    model text not null,
    -- Each as name@version.
    prompts text[] not null,
    -- The first of them, by which trends tell traces apart.
    prompt text not null generated always as (coalesce(prompts[1], '')) stored,
    environment text not null,
    role text not null,
    surface text not null,
    locale text not null,
    release text not null,
    primary key (project_id, id)
);
create unique index place_hash on place (project_id, hash);

create function place_hash(
    model text, prompts text[], environment text, role text, surface text, locale text, release text
) returns uuid language sql immutable parallel safe as $$
    select md5(jsonb_build_array(
        model, prompts, environment, role, surface, locale, release)::text)::uuid
$$;

alter table trace add column place_id integer not null default 0;
alter table feedback add column place_id integer not null default 0;
alter table feedback_history add column place_id integer not null default 0;
alter table search_document add column place_id integer not null default 0;
alter table embedding add column place_id integer not null default 0;

create temporary table placed on commit drop as
select t.project_id, t.id, d.*,
       place_hash(d.model, d.prompts, d.environment, d.role, d.surface, d.locale, d.release) as hash
from trace t cross join lateral (
    select coalesce(t.response_model, t.request_model, '') as model,
           array(select concat(item->>'name', '@', coalesce(
                            item->>'version', substr(item->>'content_hash', 8, 12)))
                 from jsonb_array_elements(t.context) as item
                 where item->>'kind' = 'system_prompt') as prompts,
           t.environment, coalesce(t.role, '') as role, coalesce(t.surface, '') as surface,
           coalesce(t.locale, '') as locale, coalesce(t.release, '') as release
) d;
insert into place (project_id, hash, model, prompts, environment, role, surface, locale, release)
select distinct on (project_id, hash)
       project_id, hash, model, prompts, environment, role, surface, locale, release
from placed order by project_id, hash;
update trace t set place_id = p.id
from placed d join place p on p.project_id = d.project_id and p.hash = d.hash
where t.project_id = d.project_id and t.id = d.id;
update feedback f set place_id = t.place_id
from trace t where t.project_id = f.project_id and t.id = f.trace_id;
update search_document d set place_id = t.place_id
from trace t where t.project_id = d.project_id and t.id = d.trace_id;
update embedding e set place_id = t.place_id
from trace t where t.project_id = e.project_id and t.id = e.trace_id;

-- Both hold what most conditions ask for, so that a list is narrowed without a look at the rows.
drop index feedback_occurred;
create index feedback_occurred on feedback (project_id, occurred_at desc, id desc)
    include (place_id, kind, name, source, negative, withdrawn);
create index feedback_place on feedback (project_id, place_id, occurred_at desc, id desc)
    include (kind, name, source, negative, withdrawn);
-- For what is rare: what is common is met soon on the way through the time.
create index feedback_labels on feedback using gin (labels) where labels is not null;
create index trace_tags on trace using gin (tags) where tags is not null;
create index trace_metadata on trace using gin (metadata jsonb_path_ops) where metadata is not null;

-- Trends: one row for each place, with its reasons in it.
drop view trend_trace, trend_place;
drop table trend_slice, trend_cell, trend_reason, trend_score;

create table trend_cell (
    project_id uuid not null,
    width text not null check (width in ('hour', 'day')),
    at timestamptz not null,
    place_id integer not null,
    traces integer not null,
    failed integer not null,
    judged integer not null,
    negative integer not null,
    corrected integer not null,
    feedback integer not null,
    latency_n integer not null,
    latency_sum double precision not null,
    latency_squares double precision not null,
    cost_n integer not null,
    cost_sum double precision not null,
    cost_squares double precision not null,
    -- Traces of which an end user gave each reason; null where nobody gave one.
    reasons text[],
    given integer[],
    primary key (project_id, width, at, place_id)
);

-- Scores given in a cell under this name, by anybody.
create table trend_score (
    project_id uuid not null,
    width text not null check (width in ('hour', 'day')),
    at timestamptz not null,
    place_id integer not null,
    name text collate "C" not null,
    n integer not null,
    total double precision not null,
    squares double precision not null,
    primary key (project_id, width, at, place_id, name)
);

insert into trend_dirty (project_id, at)
select distinct project_id, date_trunc('hour', started_at, 'UTC') from trace;
