-- Why a background job failed the last time; procrastinate itself keeps only that it did.
create table job_failure (
    job_id bigint primary key references procrastinate_jobs (id) on delete cascade,
    reason text not null,
    failed_at timestamptz not null
);
