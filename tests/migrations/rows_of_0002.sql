-- What schema 0002 adds, in use.
UPDATE cameras SET house_rules = 'helmets', categories = '["fall"]', scene_backend = 'gemini',
    daily_budget_usd = 0.5
WHERE id = 'yard';

INSERT INTO job_parts (job_id, name, value) VALUES (7, 'window 1', '{}');

INSERT INTO scene_spending (day, camera_id, spent_microusd, calls, input_tokens, output_tokens)
VALUES ('2026-01-01', 'yard', 5, 1, 2, 3);

INSERT INTO model_breakers (backend, failures, code, reason) VALUES ('gemini', 1, 'c', 'r');

INSERT INTO scene_reports (job_id, camera_id, segment_start, segment_end, video_path, backend,
    safety_score, incident_count, summary, cost_microusd)
VALUES (7, 'yard', '2026-01-01 10:00:00', '2026-01-01 10:10:00', 'a.mp4', 'gemini', 90, 0, 'quiet', 5);

INSERT INTO incidents (job_id, camera_id, video_path, starts_at, ends_at, t_start, t_end, category,
    severity, confidence, evidence, notes, backend, has_snapshot, position)
VALUES (7, 'yard', 'a.mp4', '2026-01-01 10:00:00', '2026-01-01 10:00:03', 0, 3, 'fall', 3, 0.5,
    '[]', '', 'gemini', false, 0);
