-- The record: who, what was asked and answered, and every judgement of it.
-- Every key begins with project_id, so that tables can be distributed by it.
-- Ids that clients choose are text in collation "C": compared as bytes, sorted the same everywhere.

create table setting (
    name text primary key,
    value text not null
);

create table project (
    id uuid primary key,
    name text not null,
    reasons jsonb not null,
    metrics jsonb not null,
    created_at timestamptz not null
);

create table member (
    id uuid primary key,
    email text not null unique,
    name text not null,
    password_hash text,
    created_at timestamptz not null
);

create table membership (
    project_id uuid not null references project on delete cascade,
    member_id uuid not null references member on delete cascade,
    role text not null check (role in ('owner', 'editor', 'reviewer', 'viewer')),
    primary key (project_id, member_id)
);

-- A signed-in browser, or a link that signs one in once. Only hashes of the tokens are kept.
create table login (
    token_hash bytea primary key,
    member_id uuid not null references member on delete cascade,
    kind text not null check (kind in ('browser', 'link')),
    created_at timestamptz not null,
    expires_at timestamptz not null
);

create table api_key (
    id text collate "C" primary key,
    project_id uuid not null references project on delete cascade,
    kind text not null check (kind in ('secret', 'public')),
    name text not null,
    secret_hash bytea not null,
    -- Checks feedback tokens; derived from the secret, and no use for calling the API.
    token_key bytea,
    created_at timestamptz not null,
    revoked_at timestamptz
);
create index api_key_project on api_key (project_id, created_at);

-- Texts that many traces share (prompts, documents, tools, earlier messages), once by hash.
create table content (
    project_id uuid not null,
    hash bytea not null,
    content text not null,
    primary key (project_id, hash)
);

create table trace (
    project_id uuid not null,
    id text collate "C" not null,
    session_id text collate "C",
    turn integer,
    started_at timestamptz not null,
    received_at timestamptz not null,
    environment text not null check (environment in ('dev', 'test', 'prod')),
    user_id text,
    role text,
    surface text,
    locale text,
    release text,
    request_model text,
    response_model text,
    provider text,
    input_tokens integer,
    output_tokens integer,
    latency_ms double precision,
    first_token_ms double precision,
    cost_usd double precision,
    error text,
    query text not null,
    output text,
    -- The context stack in order: [{kind, name, version, content_hash, score}].
    context jsonb,
    tags text[],
    metadata jsonb,
    sanitized boolean not null,
    -- Fingerprint of what was sent: tells a repeated record from another one under its id.
    digest bytea not null,
    primary key (project_id, id)
);
create index trace_started on trace (project_id, started_at desc, id desc);
create index trace_session on trace (project_id, session_id, started_at) where session_id is not null;
create index trace_user on trace (project_id, user_id, started_at desc) where user_id is not null;

create table span (
    project_id uuid not null,
    trace_id text collate "C" not null,
    id text collate "C" not null,
    position integer not null,
    parent_id text collate "C",
    name text not null,
    kind text not null,
    started_at timestamptz,
    latency_ms double precision,
    input text,
    output text,
    error text,
    metadata jsonb,
    primary key (project_id, trace_id, id)
);

create table session (
    project_id uuid not null,
    id text collate "C" not null,
    user_id text,
    environment text not null,
    started_at timestamptz not null,
    ended_at timestamptz not null,
    turns integer not null,
    primary key (project_id, id)
);
create index session_ended on session (project_id, ended_at desc, id desc);

-- The first appearance of every version of a prompt, document, model or release.
create table version (
    project_id uuid not null,
    kind text not null check (kind in ('prompt', 'document', 'model', 'release')),
    name text not null,
    version text not null,
    first_seen_at timestamptz not null,
    primary key (project_id, kind, name, version)
);

-- The judgement in force for each natural key.
create table feedback (
    project_id uuid not null,
    id text collate "C" not null,
    -- 128-bit hash of (target, kind, name, author, identifier).
    natural_key uuid not null,
    trace_id text collate "C",
    span_id text collate "C",
    session_id text collate "C",
    submission_id text collate "C",
    kind text not null
        check (kind in ('rating', 'reasons', 'comment', 'correction', 'annotation', 'implicit')),
    name text not null,
    source text not null
        check (source in ('end_user', 'reviewer', 'evaluator', 'judge', 'detector')),
    author text not null,
    identifier text not null,
    confidence double precision not null check (confidence between 0 and 1),
    score double precision,
    scale text check (scale in ('thumbs', 'stars', 'unit')),
    label text,
    labels text[],
    comment text,
    correction text,
    selector jsonb,
    withdrawn boolean not null,
    -- Says that something was wrong.
    negative boolean not null,
    -- Its target has arrived.
    matched boolean not null,
    metadata jsonb,
    occurred_at timestamptz not null,
    received_at timestamptz not null,
    sanitized boolean not null,
    digest bytea not null,
    primary key (project_id, id)
);
create unique index feedback_natural_key on feedback (project_id, natural_key);
create index feedback_trace on feedback (project_id, trace_id) where trace_id is not null;
create index feedback_session on feedback (project_id, session_id) where session_id is not null;
create index feedback_occurred on feedback (project_id, occurred_at desc, id desc);
create index feedback_unmatched on feedback (project_id, trace_id, session_id) where not matched;

-- Judgements that a later one has replaced; appended, never changed.
create table feedback_history (like feedback);
alter table feedback_history add primary key (project_id, id);
create index feedback_history_key on feedback_history (project_id, natural_key, occurred_at);

-- What was said about an annotation; appended, never changed.
create table thread_entry (
    project_id uuid not null,
    natural_key uuid not null,
    id text collate "C" not null,
    action text not null check (action in ('reply', 'resolve', 'reopen', 'accept', 'reject')),
    author text not null,
    comment text,
    created_at timestamptz not null,
    primary key (project_id, natural_key, id)
);

-- Answers to requests that carried an Idempotency-Key.
create table idempotency (
    project_id uuid not null,
    key text collate "C" not null,
    request_hash bytea not null,
    status integer not null,
    body bytea not null,
    created_at timestamptz not null,
    primary key (project_id, key)
);
create index idempotency_created on idempotency (created_at);
