-- Vectors of exchanges with feedback: of the user's turn, and of what was complained of.
create extension if not exists vector;

-- The models that have been chosen, in this order. The last complete one answers searches.
create table embedding_model (
    id integer generated always as identity primary key,
    name text not null unique,
    dimensions integer not null,
    -- Exchanges that waited when it was chosen have marks up to this one.
    filled_to bigint not null,
    complete boolean not null
);

create table embedding (
    project_id uuid not null,
    model_id integer not null references embedding_model on delete cascade,
    trace_id text collate "C" not null,
    kind text not null check (kind in ('query', 'complaint')),
    text_hash bytea not null,
    -- Of as many dimensions as its model has; an index for each large model is made by the worker.
    vector halfvec not null,
    primary key (project_id, model_id, trace_id, kind)
);
create index embedding_text on embedding (project_id, text_hash, model_id);

-- Exchanges whose vectors are out of date. A worker takes some for a while; whoever finds the same
-- mark when it is done has seen all that was said.
create sequence embedding_mark;
create table embedding_waiting (
    project_id uuid not null,
    trace_id text collate "C" not null,
    mark bigint not null default nextval('embedding_mark'),
    taken_until timestamptz,
    primary key (project_id, trace_id)
);
create index embedding_waiting_mark on embedding_waiting (mark);
