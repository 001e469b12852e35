import { expect, test } from "vitest";

import { inShort, readSearch } from "./day.model";

test("an address names a day, a camera and a text, and nonsense means today", () => {
  expect(readSearch({ day: "2026-01-31", camera_id: "gate", text: 42 })).toEqual({ day: "2026-01-31", camera_id: "gate", text: "42" });
  expect(readSearch({ day: "tomorrow" })).toEqual({ day: undefined, camera_id: undefined, text: undefined });
});

test("a day is summed up by its archives, its incidents and its worst moment", () => {
  expect(inShort([{ incident_count: 2, safety_score: 60 }, { incident_count: 0, safety_score: 100 }])).toBe("2 archives, 2 incidents, lowest score 60");
  expect(inShort([])).toBe("");
});
