-- Retention: how long a project keeps what was recorded, and which shared texts are still in use.

-- In days; 0 keeps for ever.
alter table project add column keep_days integer not null default 0 check (keep_days >= 0);
-- When a trace last brought or named this text, to within two days.
alter table content add column used_at timestamptz not null default now();
