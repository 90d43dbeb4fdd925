-- How sure the recall gate of a project has to be, measured on queries that were held out.

create table recall_calibration (
    project_id uuid not null references project on delete cascade,
    -- Name of the embedding model.
    model text collate "C" not null,
    made_at timestamptz not null,
    -- One weight a feature, by name; the threshold follows from the curve and the project's bound.
    weights jsonb not null,
    -- Queries that were held out, of one end user each.
    queries integer not null,
    -- What each threshold would do: [[threshold, answered, wrong, upper bound], …], strict first.
    curve jsonb not null,
    -- What there was then: it is made anew when that has grown or changed.
    exchanges bigint not null,
    lessons text not null,
    primary key (project_id, model)
);
