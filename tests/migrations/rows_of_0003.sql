-- What schema 0003 adds, in use.
UPDATE analysis_jobs SET callback_url = 'http://backend:8000/x', callback_id = '사람',
    callback_progress = 40
WHERE id = 7;

INSERT INTO callbacks (message_id, url, host, subject, kind, body, size_bytes, expires_at, job_id)
VALUES ('m-1', 'http://backend:8000/x', 'http://backend:8000', 'job:7', 'result', '{"a": "넘"}', 11,
    '2026-01-02 10:00:00', 7);

INSERT INTO callback_pieces (callback_id, position, text) VALUES (1, 1, 'more');

INSERT INTO speech_jobs (job_id, queue_job_id, url, object_hash, filename, size_bytes)
VALUES ('test-123', 7, 'https://b.example/a.mp4?sig=1', 'h', '회의.mp4', 5000000000);

INSERT INTO ml_results (job_id, status, progress, result)
VALUES ('test-123', 'processing', 40, '{"segments": []}');
