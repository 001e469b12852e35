import { expect, test } from "vitest";

import { isHung, rebuildDelay, seekTarget, watch } from "./live-edge";

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

test("a picture that stands while the stream goes on is a hang", () => {
  const stand = watch(watch(null, { positionS: 4, edgeS: 10 }), { positionS: 4, edgeS: 15 });
  expect(isHung(stand, { positionS: 4, edgeS: 17 })).toBe(false);
  expect(isHung(stand, { positionS: 4, edgeS: 18 })).toBe(true);
});

test("a picture that stands because the stream stands is no hang", () => {
  const stand = watch(null, { positionS: 4, edgeS: 10 });
  expect(isHung(watch(stand, { positionS: 4, edgeS: 10 }), { positionS: 4, edgeS: 10 })).toBe(false);
});

test("a picture that moves begins the watch anew", () => {
  const stand = watch(watch(null, { positionS: 4, edgeS: 10 }), { positionS: 5, edgeS: 18 });
  expect(isHung(stand, { positionS: 5, edgeS: 18 })).toBe(false);
});
