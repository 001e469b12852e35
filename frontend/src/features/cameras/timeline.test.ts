import { expect, test } from "vitest";

import type { Segment } from "../../api/cameras";
import { at, following, leadTo, marks, momentOf, nearest, neighbour, place, ticks } from "./timeline.model";

const iso = (minute: number) => new Date(Date.UTC(2026, 0, 1, 10, minute)).toISOString();
const span = { from: Date.parse(iso(0)), to: Date.parse(iso(60)) };
const incident = (t_start: number) => ({
  category: "fall", t_start, t_end: t_start + 2, severity: 3, confidence: 0.9, evidence: [],
});
const segment = (from: number, to: number, ...starts: number[]) =>
  ({ started_at: iso(from), ended_at: iso(to), incidents: starts.map(incident) }) as unknown as Segment;

test("a block lies where its times are", () => {
  expect(place(span, iso(15), iso(30))).toEqual({ left: 25, width: 25 });
});

test("a block that reaches out is cut, and one outside is not shown", () => {
  expect(place(span, iso(-10), iso(6))).toEqual({ left: 0, width: 10 });
  expect(place(span, iso(60), iso(70))).toBeNull();
});

test("a moment is found in its archive, and not in a gap", () => {
  const segments = [segment(20, 30), segment(0, 10)];
  expect(at(segments, Date.parse(iso(5)))).toMatchObject({ second: 300 });
  expect(at(segments, Date.parse(iso(15)))).toBeNull();
  expect(momentOf(segment(20, 30), 90)).toBe(new Date(Date.UTC(2026, 0, 1, 10, 21, 30)).toISOString());
});

test("playing goes on in the next archive, but not across a gap", () => {
  const [last, second, first] = [segment(25, 30), segment(10, 20), segment(0, 10)];
  expect(following([last, second, first], first)).toBe(second);
  expect(following([last, second, first], second)).toBeNull();
  expect(following([last, second, first], last)).toBeNull();
});

test("incidents of all archives come newest first and are played from a little before", () => {
  const found = marks([segment(20, 30, 1, 60), segment(0, 10, 5)]);
  expect(found.map((mark) => mark.moment)).toEqual([Date.parse(iso(21)), Date.parse(iso(20)) + 1000, Date.parse(iso(0)) + 5000]);
  expect(found.map((mark) => leadTo(mark).second)).toEqual([58, 0, 3]);
});

test("a click near a mark means that incident, one far away means none", () => {
  const all = marks([segment(0, 10, 60, 120)]);
  expect(nearest(all, Date.parse(iso(1)) - 3000, 5000)?.incident.t_start).toBe(60);
  expect(nearest(all, Date.parse(iso(2)) + 1000, 5000)?.incident.t_start).toBe(120);
  expect(nearest(all, Date.parse(iso(5)), 5000)).toBeNull();
});

test("one can go from incident to incident", () => {
  const all = marks([segment(0, 10, 60, 120)]);
  expect(neighbour(all, span.from, 1)?.incident.t_start).toBe(60);
  expect(neighbour(all, Date.parse(iso(1)), 1)?.incident.t_start).toBe(120);
  expect(neighbour(all, span.to, -1)?.incident.t_start).toBe(120);
  expect(neighbour(all, span.from, -1)).toBeNull();
});

test("the axis has a handful of round times", () => {
  const found = ticks(span);
  expect(found.length).toBeGreaterThan(4);
  expect(found.every((moment) => moment % (10 * 60_000) === 0)).toBe(true);
});
