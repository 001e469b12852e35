import { expect, test } from "vitest";

import { inShort, inWords, momentOf, nameOf, slots } from "./scores.model";

const point = (starts_at: string, mean = 80, least = 70, archives = 2, incidents = 1) => ({ starts_at, mean, least, archives, incidents });
const indexes = (...of: Parameters<typeof slots>) => slots(...of).map((slot) => slot.index);

test("this hour is at the right, and what is older than a day is left out", () => {
  const now = Date.parse("2026-01-02T12:30:00Z");
  const points = [point("2026-01-01T12:00:00Z"), point("2026-01-01T13:00:00Z"), point("2026-01-02T12:00:00Z")];
  expect(indexes(points, "hour", "Etc/UTC", now)).toEqual([0, 23]);
});

test("hours that begin on the half hour have places of their own", () => {
  const now = Date.parse("2026-01-02T12:10:00Z");
  expect(indexes([point("2026-01-02T10:30:00Z"), point("2026-01-02T11:30:00Z")], "hour", "Asia/Kolkata", now)).toEqual([22, 23]);
});

test("days are the site's, also across a change of clocks", () => {
  const now = Date.parse("2026-03-29T22:30:00Z"); // half past midnight in Berlin, after a day of 23 hours
  const points = [point("2026-03-27T23:00:00Z"), point("2026-03-28T23:00:00Z"), point("2026-03-29T22:00:00Z")];
  expect(indexes(points, "day", "Europe/Berlin", now)).toEqual([27, 28, 29]);
});

test("a chart is said in words, and archives weigh alike in the mean", () => {
  const [few, many] = [point("2026-01-02T10:00:00Z", 40, 40, 1, 3), point("2026-01-02T11:00:00Z", 100, 95, 3, 0)];
  expect(inWords(few, "hour", "Europe/Berlin")).toBe("11:00: mean 40, lowest 40, 3 incidents in 1 archive");
  expect(inShort([{ index: 0, point: few }, { index: 1, point: many }])).toBe("mean 85, lowest 40, 3 incidents");
  expect(inShort([])).toBeNull();
});

test("the axis names hours and days", () => {
  const now = Date.parse("2026-01-02T12:30:00Z");
  expect(nameOf(momentOf(23, "hour", now), "hour", "Etc/UTC")).toBe("12:00");
  expect(nameOf(momentOf(0, "hour", now), "hour", "Etc/UTC")).toBe("13:00");
  expect(nameOf(momentOf(28, "day", now), "day", "Etc/UTC")).toMatch(/\b1\b/);
});
