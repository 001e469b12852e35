-- Rows of schema 0001: with everything set, and with what the database adds by itself.
INSERT INTO cameras (id, name, description, source, substream, enabled, archive_seconds,
    retention_days, retention_bytes, probe, state, state_reason, state_since, created_at, updated_at)
VALUES ('yard', 'Hof 마당', 'It''s wet', 'rtsp://u:p@cam/1', 'rtsp://cam/2', false, 300,
    1.5, 20000000000, '{"codec": "h264", "fps": 12.5}', 'failed', 'unreachable',
    '2026-01-01 10:00:00.123456', '2025-12-31 23:59:59.999999', '2026-01-01 10:00:00.000001');

INSERT INTO cameras (id, name, description, source, state)
VALUES ('gate', 'Gate', '', 'demo:', 'live');

INSERT INTO analysis_jobs (id, kind, camera_id, video_path, segment_start, status, priority,
    attempt, worker_id, locked_until, dedup_key, payload, analysis_result, safety_score,
    error_message)
VALUES (7, 'scene', 'yard', 'archive/yard/a.mp4', '2026-01-01 10:00:00', 'processing', 10,
    2, 'w1', '2026-01-01 10:20:00.5', 'scene:a', '{"demo": true}',
    '{"incidents": [{"category": "fall"}]}', 71, '넘어졌다');

INSERT INTO analysis_jobs (camera_id) VALUES ('gate');

INSERT INTO events (event_id, type, "key", payload, created_at)
VALUES ('e-1', 'camera.changed', 'camera:yard', '{"camera_id": "yard"}', '2026-01-01 10:00:00.25');

INSERT INTO segments (camera_id, video_path, started_at, ended_at, size_bytes, job_id)
VALUES ('yard', 'archive/yard/a.mp4', '2026-01-01 10:00:00', '2026-01-01 10:10:00.2',
    5000000000, 7);

INSERT INTO worker_processes (name, instance, hostname, pid, slots, state)
VALUES ('w1', 'i1', 'here', 4711, '{"scene": 2}', 'running');
