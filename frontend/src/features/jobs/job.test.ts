import { expect, test } from "vitest";

import { archiveUrl, flat, insteadOf, isScored, kindName, readSearch, speechJobId, took } from "./job.model";

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

test("who answered in whose stead is said with every reason", () => {
  const refused = [{ backend: "openai", code: "unreachable", reason: "cannot be reached" }, { backend: "gemini", code: "budget_spent", reason: "the budget is spent" }];
  expect(insteadOf({ backend: "local", fallback: refused })).toBe("Answered by Local: OpenAI-compatible: cannot be reached; Gemini: the budget is spent");
  expect(insteadOf({ backend: "gemini", fallback: [] })).toBeNull();
  expect(insteadOf({})).toBeNull();
});

test("tries have no score, and a kind that the page does not know has a name", () => {
  expect(["scene", "backend_test", "dry_run", "speech"].map(isScored)).toEqual([true, false, false, false]);
  expect([kindName("dry_run"), kindName("speech_notes")]).toEqual(["Dry run", "Speech notes"]);
});

test("only a speech job leads to what it heard", () => {
  expect(speechJobId({ kind: "speech", payload: { job_id: "a-1" } })).toBe("a-1");
  expect(speechJobId({ kind: "scene", payload: { job_id: "a-1" } })).toBeNull();
  expect(speechJobId({ kind: "speech", payload: null })).toBeNull();
});

test("a camera whose id is a number is a filter as any other", () => {
  expect(readSearch({ status: "failed", camera_id: 7, cursor: "" })).toEqual({ status: "failed", camera_id: "7", cursor: undefined });
  expect(readSearch({ status: "lost", camera_id: {} })).toEqual({ status: undefined, camera_id: undefined, cursor: undefined });
});
