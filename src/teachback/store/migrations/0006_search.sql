-- Full text over exchanges with feedback: query, answer, and what was said about it.

-- Made by the worker, out of what is stored; may be thrown away and made again.
create table search_document (
    project_id uuid not null,
    trace_id text collate "C" not null,
    tsv tsvector not null,
    primary key (project_id, trace_id)
);
create index search_document_tsv on search_document using gin (tsv);

-- In how many documents of a project a word stands; counted anew as the project grows.
create table search_term (
    project_id uuid not null,
    word text collate "C" not null,
    documents integer not null,
    primary key (project_id, word)
);
create table search_size (
    project_id uuid primary key,
    documents bigint not null,
    average_length double precision not null
);

-- Traces whose document is out of date; written with the feedback, in its transaction.
create table search_waiting (
    project_id uuid not null,
    trace_id text collate "C" not null
);

insert into search_waiting
select distinct project_id, trace_id from feedback where trace_id is not null;
