import { expect, test } from "vitest";

import { archiveUrl, flat, took } from "./job.model";

test("a job that has not ended has taken no time yet", () => {
  expect(took({ started_at: "2026-01-01T00:00:00Z", completed_at: null })).toBeNull();
  expect(took({ started_at: "2026-01-01T00:00:00Z", completed_at: "2026-01-01T00:00:02.340Z" })).toBe("2.3 s");
  expect(took({ started_at: "2026-01-01T00:00:00Z", completed_at: "2026-01-01T00:05:00Z" })).toBe("5 min");
});

test("an archive is played from the camera's address", () => {
  expect(archiveUrl({ camera_id: "gate", video_path: "archive/gate/archive_20260101_000000.mp4" })).toBe("/archive/gate/archive_20260101_000000.mp4");
});

test("a job without camera or video has nothing to play", () => {
  expect(archiveUrl({ camera_id: null, video_path: "a.mp4" })).toBeNull();
  expect(archiveUrl({ camera_id: "gate", video_path: null })).toBeNull();
});

test("nested settings become rows", () => {
  expect(flat({ device: "auto", rules: { fall: { up: 1.5 }, names: ["a"] } })).toEqual([
    ["device", "auto"], ["rules.fall.up", "1.5"], ["rules.names", '["a"]'],
  ]);
});
