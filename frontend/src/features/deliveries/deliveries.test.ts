import { expect, test } from "vitest";

import { canRedeliver, nextTry, readable, readSearch, whatOf } from "./deliveries.model";

test("only what has ended and was not replaced is sent again", () => {
  expect((["pending", "delivered", "superseded", "dead"] as const).filter((state) => canRedeliver({ state }))).toEqual(["delivered", "dead"]);
});

test("a callback says how far it tells", () => {
  expect([whatOf({ kind: "progress", progress: 40 }), whatOf({ kind: "result", progress: null })]).toEqual(["progress 40 %", "result"]);
});

test("the next try is told from now, and a late one is now", () => {
  const now = Date.parse("2026-01-01T00:00:00Z");
  expect(nextTry({ next_at: "2026-01-01T00:00:12Z" }, now)).toBe("in 12 s");
  expect(nextTry({ next_at: "2025-12-31T23:59:00Z" }, now)).toBe("now");
  expect(nextTry({ next_at: null }, now)).toBeNull();
});

test("a body that is cut is shown as it is", () => {
  expect(readable('{"a":1}')).toBe('{\n  "a": 1\n}');
  expect(readable('{"a":')).toBe('{"a":');
});

test("what an address says that is no filter is left out", () => {
  expect(readSearch({ state: "dead", job_id: 4 })).toEqual({ state: "dead", job_id: 4, cursor: undefined });
  expect(readSearch({ state: "lost", job_id: "x" })).toEqual({ state: undefined, job_id: undefined, cursor: undefined });
});
