-- A project with people and keys, one session of two turns, and judgements of three sorts.
insert into setting (name, value) values ('pepper_fingerprint', 'x');
insert into project (id, name, reasons, metrics, created_at) values
    ('00000000-0000-7000-8000-000000000001', 'Support',
     '[{"label": "wrong_fact", "title": "Something in it is wrong", "polarity": "negative"}]',
     '[{"name": "helpful", "optimize": "max", "description": ""}]', '2026-03-01T09:00:00Z');
insert into member (id, email, name, password_hash, created_at) values
    ('00000000-0000-7000-8000-000000000002', 'alice@example.com', 'Alice', null,
     '2026-03-01T09:00:00Z');
insert into membership (project_id, member_id, role) values
    ('00000000-0000-7000-8000-000000000001', '00000000-0000-7000-8000-000000000002', 'owner');
insert into login (token_hash, member_id, kind, created_at, expires_at) values
    ('\x01', '00000000-0000-7000-8000-000000000002', 'browser', '2026-03-01T09:00:00Z',
     '2026-04-01T09:00:00Z');
insert into api_key (id, project_id, kind, name, secret_hash, token_key, created_at) values
    ('abcdefgh', '00000000-0000-7000-8000-000000000001', 'secret', 'server', '\x02', '\x03',
     '2026-03-01T09:00:00Z');
insert into content (project_id, hash, content) values
    ('00000000-0000-7000-8000-000000000001', sha256('You help.'), 'You help.');
insert into trace (project_id, id, session_id, turn, started_at, received_at, environment, user_id,
                   request_model, latency_ms, query, output, context, tags, metadata, sanitized,
                   digest) values
    ('00000000-0000-7000-8000-000000000001', 't-1', 's-1', 1, '2026-03-01T12:00:00Z',
     '2026-03-01T12:00:01Z', 'prod', 'u-1', 'gpt-x', 12.5, 'Where is my invoice?', 'Under Sales.',
     jsonb_build_array(
         jsonb_build_object('kind', 'system_prompt', 'name', 'p', 'content_hash',
                            'sha256:' || encode(sha256('You help.'), 'hex')),
         jsonb_build_object('kind', 'document', 'name', 'd', 'content_hash',
                            'sha256:' || encode(sha256('never sent'), 'hex'))),
     '{import}', '{"n": 1}', false, '\x04'),
    ('00000000-0000-7000-8000-000000000001', 't-2', 's-1', 2, '2026-03-01T12:01:00Z',
     '2026-03-01T12:01:01Z', 'prod', 'u-1', 'gpt-x', null, 'Thanks', null, null, null, null, false,
     '\x05');
insert into span (project_id, trace_id, id, position, name, kind, output) values
    ('00000000-0000-7000-8000-000000000001', 't-1', 's', 0, 'step', 'tool', 'found');
insert into session (project_id, id, user_id, environment, started_at, ended_at, turns) values
    ('00000000-0000-7000-8000-000000000001', 's-1', 'u-1', 'prod', '2026-03-01T12:00:00Z',
     '2026-03-01T12:01:00Z', 2);
insert into version (project_id, kind, name, version, first_seen_at) values
    ('00000000-0000-7000-8000-000000000001', 'model', 'gpt-x', 'gpt-x', '2026-03-01T12:00:00Z');
insert into feedback (project_id, id, natural_key, trace_id, session_id, kind, name, source, author,
                      identifier, confidence, score, scale, comment, selector, withdrawn, negative,
                      matched, occurred_at, received_at, sanitized, digest) values
    ('00000000-0000-7000-8000-000000000001', 'f-now', '00000000-0000-0000-0000-00000000000a', 't-1',
     null, 'rating', 'helpful', 'end_user', 'u-1', '', 1, 1, 'thumbs', null, null, false, false,
     true, '2026-03-01T12:05:00Z', '2026-03-01T12:05:00Z', false, '\x06'),
    ('00000000-0000-7000-8000-000000000001', 'f-note', '00000000-0000-0000-0000-00000000000b',
     't-1', null, 'annotation', 'highlight', 'reviewer', 'bob', '1', 1, null, null, 'Old.',
     '{"exact": "Sales", "start": 6, "end": 11, "part": "output"}', false, true, true,
     '2026-03-01T12:06:00Z', '2026-03-01T12:06:00Z', false, '\x07'),
    ('00000000-0000-7000-8000-000000000001', 'f-session', '00000000-0000-0000-0000-00000000000c',
     null, 's-1', 'comment', 'comment', 'end_user', 'u-1', '', 1, null, null, 'Well.', null, false,
     false, true, '2026-03-01T12:07:00Z', '2026-03-01T12:07:00Z', false, '\x08'),
    ('00000000-0000-7000-8000-000000000001', 'f-waits', '00000000-0000-0000-0000-00000000000d',
     't-9', null, 'comment', 'comment', 'end_user', 'u-2', '', 1, null, null, 'Where?', null, false,
     false, false, '2026-03-01T12:08:00Z', '2026-03-01T12:08:00Z', false, '\x09');
insert into feedback_history (project_id, id, natural_key, trace_id, kind, name, source, author,
                              identifier, confidence, score, scale, withdrawn, negative, matched,
                              occurred_at, received_at, sanitized, digest) values
    ('00000000-0000-7000-8000-000000000001', 'f-before', '00000000-0000-0000-0000-00000000000a',
     't-1', 'rating', 'helpful', 'end_user', 'u-1', '', 1, 0, 'thumbs', false, true, true,
     '2026-03-01T12:04:00Z', '2026-03-01T12:04:00Z', false, '\x0a');
insert into thread_entry (project_id, natural_key, id, action, author, comment, created_at) values
    ('00000000-0000-7000-8000-000000000001', '00000000-0000-0000-0000-00000000000b', 'e-1', 'reply',
     'alice', 'Really?', '2026-03-01T12:09:00Z');
insert into idempotency (project_id, key, request_hash, status, body, created_at) values
    ('00000000-0000-7000-8000-000000000001', 'k', '\x0b', 200, '{}', '2026-03-01T12:09:00Z');
