-- Named system prompts: every version of each, where it stands, and all that was done to it.

create table prompt_version (
    project_id uuid not null references project on delete cascade,
    name text collate "C" not null,
    version integer not null,
    text text not null,
    state text not null check (state in ('draft', 'approved', 'canary', 'live', 'retired')),
    -- The version it was made from, and the lessons that were merged into it.
    based_on integer,
    lesson_ids text[] not null,
    author text not null,
    reason text not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    approved_at timestamptz,
    primary key (project_id, name, version),
    check (state in ('draft', 'retired') or approved_at is not null)
);
-- One version is served as production, and one is tried beside it.
create unique index prompt_live on prompt_version (project_id, name) where state = 'live';
create unique index prompt_canary on prompt_version (project_id, name) where state = 'canary';

-- Who did what to a version, when and why; appended, never changed.
create table prompt_event (
    project_id uuid not null references project on delete cascade,
    id uuid not null,
    name text collate "C" not null,
    version integer not null,
    at timestamptz not null,
    action text not null check (action in ('drafted', 'approved', 'moved', 'replaced')),
    from_state text,
    to_state text not null,
    actor_kind text not null check (actor_kind in ('member', 'key', 'system')),
    actor_id text not null,
    actor text not null,
    reason text not null,
    primary key (project_id, id)
);
create index prompt_event_name on prompt_event (project_id, name, at, id);
