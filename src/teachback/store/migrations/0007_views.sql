-- What members keep beside the record: views of a list, and tags. The record itself stays as sent.

create table saved_view (
    project_id uuid not null references project on delete cascade,
    id uuid not null,
    -- Who saved it; everybody in the project sees it.
    member_id uuid not null references member on delete cascade,
    name text not null,
    page text not null check (page in ('feedback', 'sessions', 'trends')),
    -- The query of its address.
    query text not null,
    created_at timestamptz not null,
    primary key (project_id, id)
);
create index saved_view_page on saved_view (project_id, page, name);

-- A member's word for a trace or a feedback; what applications send as tags is in the trace.
create table tag (
    project_id uuid not null references project on delete cascade,
    target_kind text not null check (target_kind in ('trace', 'feedback')),
    target_id text collate "C" not null,
    tag text not null,
    -- Who put it there first.
    member_id uuid not null,
    created_at timestamptz not null,
    primary key (project_id, target_kind, target_id, tag)
);
create index tag_name on tag (project_id, tag, target_kind, target_id);
