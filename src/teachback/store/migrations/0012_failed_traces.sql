-- Requests that failed are few, and looked for.
create index trace_failed on trace (project_id, started_at desc) where error is not null;
