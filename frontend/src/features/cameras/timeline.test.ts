import { expect, test } from "vitest";

import type { Segment } from "../../api/cameras";
import { at, momentOf, place, ticks } from "./timeline.model";

const iso = (minute: number) => new Date(Date.UTC(2026, 0, 1, 10, minute)).toISOString();
const span = { from: Date.parse(iso(0)), to: Date.parse(iso(60)) };
const segment = (from: number, to: number) => ({ started_at: iso(from), ended_at: iso(to) }) as Segment;

test("a block lies where its times are", () => {
  expect(place(span, iso(15), iso(30))).toEqual({ left: 25, width: 25 });
});

test("a block that reaches out is cut, and one outside is not shown", () => {
  expect(place(span, iso(-10), iso(6))).toEqual({ left: 0, width: 10 });
  expect(place(span, iso(60), iso(70))).toBeNull();
});

test("a moment is found in its segment, and not in a gap", () => {
  const segments = [segment(20, 30), segment(0, 10)];
  expect(at(segments, Date.parse(iso(5)))).toMatchObject({ second: 300 });
  expect(at(segments, Date.parse(iso(15)))).toBeNull();
  expect(momentOf(segment(20, 30), 90)).toBe(new Date(Date.UTC(2026, 0, 1, 10, 21, 30)).toISOString());
});

test("the axis has a handful of round times", () => {
  const found = ticks(span);
  expect(found.length).toBeGreaterThan(4);
  expect(found.every((moment) => moment % (10 * 60_000) === 0)).toBe(true);
});
