-- What members keep beside the record.
insert into saved_view (project_id, id, member_id, name, page, query, created_at) values
    ('00000000-0000-7000-8000-000000000001', '00000000-0000-7000-8000-000000000003',
     '00000000-0000-7000-8000-000000000002', 'Thumbs', 'feedback', 'q=kind%3Arating',
     '2026-03-01T13:00:00Z');
insert into tag (project_id, target_kind, target_id, tag, member_id, created_at) values
    ('00000000-0000-7000-8000-000000000001', 'feedback', 'f-now', 'to-check',
     '00000000-0000-7000-8000-000000000002', '2026-03-01T13:00:00Z');
