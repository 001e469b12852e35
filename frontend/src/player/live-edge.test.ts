import { expect, test } from "vitest";

import { rebuildDelay, seekTarget } from "./live-edge";

test("a player that fell behind seeks to the live edge", () => {
  expect(seekTarget(10, 29)).toBe(29);
});

test("a player at the edge is left alone", () => {
  expect(seekTarget(29.5, 30)).toBeNull();
  expect(seekTarget(30.5, 30)).toBeNull();
});

test("a player from before the stream began anew comes back", () => {
  expect(seekTarget(500, 12)).toBe(12);
});

test("an unknown edge moves nothing", () => {
  expect(seekTarget(10, null)).toBeNull();
  expect(seekTarget(10, Number.NaN)).toBeNull();
});

test("rebuilding waits longer each time, up to ten seconds", () => {
  expect([1, 2, 3, 10].map(rebuildDelay)).toEqual([500, 1000, 2000, 10_000]);
});
