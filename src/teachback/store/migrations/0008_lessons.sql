-- Lessons: what was learned, who approved it, and all that was said and done about it.

-- A key that acts for a member: what it does is that member's doing, within their role.
alter table api_key add column member_id uuid references member on delete cascade;
-- The project's kill switch: no lesson reaches any prompt.
alter table project add column lessons_off boolean not null default false;

create table lesson (
    project_id uuid not null references project on delete cascade,
    id text collate "C" not null,
    kind text not null check (kind in ('guidance', 'fact', 'template', 'example')),
    state text not null check (state in ('draft', 'approved', 'canary', 'live', 'retired')),
    -- The version in force; before the first approval, the latest draft.
    version integer not null,
    -- A later version that waits for approval.
    pending integer,
    latest integer not null,
    superseded_by text collate "C",
    killed_at timestamptz,
    -- Answers with this lesson that were judged good and bad.
    helpful integer not null default 0,
    harmful integer not null default 0,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (project_id, id)
);
create index lesson_updated on lesson (project_id, updated_at desc, id desc);
create index lesson_in_force on lesson (project_id) where state in ('canary', 'live');
create index lesson_superseded on lesson (project_id, superseded_by)
    where superseded_by is not null;

-- Every wording a lesson had; appended, and never changed but for the mark of its approval.
create table lesson_version (
    project_id uuid not null,
    lesson_id text collate "C" not null,
    version integer not null,
    situation text not null,
    text text not null,
    answer text,
    -- Dimensions that are not empty: {"roles": ["admin"], …}.
    scope jsonb not null,
    priority integer not null,
    expires_at timestamptz,
    -- Ids of the feedback it was learned from.
    provenance text[] not null,
    author text not null,
    reason text not null,
    created_at timestamptz not null,
    approved_at timestamptz,
    primary key (project_id, lesson_id, version),
    foreign key (project_id, lesson_id) references lesson on delete cascade
);

-- Who did what to a lesson, when and why; appended, never changed. Without a lesson, to the switch.
create table lesson_event (
    project_id uuid not null references project on delete cascade,
    id uuid not null,
    lesson_id text collate "C",
    at timestamptz not null,
    action text not null check (action in (
        'drafted', 'edited', 'approved', 'declined', 'moved', 'superseded', 'killed', 'revived')),
    from_state text,
    to_state text,
    version integer,
    actor_kind text not null check (actor_kind in ('member', 'key', 'system')),
    actor_id text not null,
    -- Their name at that time.
    actor text not null,
    reason text not null,
    primary key (project_id, id)
);
create index lesson_event_lesson on lesson_event (project_id, lesson_id, at, id);

-- Vectors of situations, by the model that made them.
create table lesson_vector (
    project_id uuid not null,
    lesson_id text collate "C" not null,
    version integer not null,
    model text not null,
    vector halfvec not null,
    primary key (project_id, lesson_id, version, model),
    foreign key (project_id, lesson_id, version) references lesson_version on delete cascade
);
