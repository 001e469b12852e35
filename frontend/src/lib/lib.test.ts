import { expect, test } from "vitest";

import { bytes, count, scoreTone, sentence, severityTone, title, words } from "./format";
import { ago, duration, position, timeOfDay, timeOrDay } from "./time";

test("sizes are short and readable", () => {
  expect(bytes(0)).toBe("0 B");
  expect(bytes(1234)).toBe("1.2 kB");
  expect(bytes(78_830_000)).toBe("79 MB");
});

test("durations grow coarser with their length", () => {
  expect([5, 99, 300, 7200, 200_000].map(duration)).toEqual(["5 s", "99 s", "5 min", "2 h", "2 d"]);
  expect(ago("2026-01-01T00:00:00Z", Date.parse("2026-01-01T00:05:00Z"))).toBe("5 min");
});

test("a time in the future is not ago", () => {
  expect(ago("2026-01-01T00:00:10Z", Date.parse("2026-01-01T00:00:00Z"))).toBe("0 s");
});

test("positions have two digits of seconds", () => {
  expect(position(75.9)).toBe("1:15");
  expect(position(5)).toBe("0:05");
});

test("scores and severities have tones", () => {
  expect([100, 85, 84, 60, 59, null].map(scoreTone)).toEqual(["good", "good", "warn", "warn", "bad", "quiet"]);
  expect([0, 1, 2, 3, 4].map(severityTone)).toEqual(["info", "info", "warn", "bad", "bad"]);
  expect(words("near_miss")).toBe("near miss");
});

test("a reason is shown as a sentence, without the code that programs read", () => {
  expect(sentence("unreachable: The source cannot be reached.")).toBe("The source cannot be reached.");
  expect(sentence("the password is wrong")).toBe("The password is wrong");
  expect(sentence("Error: kept")).toBe("Error: kept");
});

test("one is not many", () => {
  expect([count(1, "incident"), count(0, "incident")]).toEqual(["1 incident", "0 incidents"]);
  expect(title("near_miss")).toBe("Near miss");
});

test("a time of another day says which", () => {
  const moment = "2026-01-02T12:00:00Z";
  expect(timeOrDay(moment, Date.parse(moment))).toBe(timeOfDay(moment));
  expect(timeOrDay(moment, Date.parse("2026-01-05T12:00:00Z"))).toMatch(/\S+, \d\d:/);
});
