import { expect, test } from "vitest";

import type { IncidentPage } from "../../api/incidents";
import { actionOf, filterOf, isFiltered, readSearch, stepFrom, total, withState } from "./incidents.model";

const key = (name: string, held: Partial<Record<"ctrlKey" | "metaKey" | "altKey", boolean>> = {}) =>
  actionOf({ key: name, ctrlKey: false, metaKey: false, altKey: false, ...held });
const items = [{ id: 9 }, { id: 7 }, { id: 5 }];

test("an address names filters, and nonsense in it filters nothing", () => {
  expect(readSearch({ category: "fall", severity: "3", state: "open", since: "2026-01-31", text: 12, incident: 4 })).toMatchObject({
    category: "fall", severity: 3, state: "open", since: "2026-01-31", text: "12", incident: 4,
  });
  const nonsense = readSearch({ category: "flood", severity: 9, state: "new", since: "soon", incident: "x" });
  expect(Object.values(nonsense).filter((value) => value !== undefined)).toEqual([]);
});

test("the opened incident and the page are no filters", () => {
  expect([isFiltered({ incident: 3, cursor: "x" }), isFiltered({ text: "car" }), isFiltered({ severity: 0 })]).toEqual([false, true, true]);
});

test("days are whole days at the site", () => {
  expect(filterOf({ since: "2026-01-30", until: "2026-01-31", incident: 3 }, "Europe/Berlin")).toEqual({
    since: "2026-01-29T23:00:00.000Z", until: "2026-01-31T23:00:00.000Z",
  });
});

test("one key confirms, rejects or takes back, and the browser keeps its own", () => {
  expect(["c", "r", "u", "j", "ArrowUp", "x"].map((name) => key(name))).toEqual(["confirmed", "rejected", "open", "next", "previous", null]);
  expect([key("c", { ctrlKey: true }), key("r", { metaKey: true }), key("ArrowUp", { altKey: true })]).toEqual([null, null, null]);
});

test("one goes from incident to incident, and not past the ends", () => {
  expect(stepFrom(items, undefined, 0, "next")).toBe(9);
  expect(stepFrom(items, 9, 0, "next")).toBe(7);
  expect(stepFrom(items, 5, 2, "next")).toBe(5);
  expect(stepFrom(items, 9, 0, "previous")).toBe(9);
  expect(stepFrom([], undefined, 0, "next")).toBeUndefined();
});

test("after one that its verdict took out of the list comes the one that moved up", () => {
  expect(stepFrom(items, 8, 1, "next")).toBe(7);
  expect(stepFrom(items, 8, 1, "previous")).toBe(9);
  expect(stepFrom(items, 4, 3, "next")).toBe(5);
});

test("a verdict shows at once, and on no other incident", () => {
  const page = { items: [{ id: 1, state: "open" }, { id: 2, state: "open" }] } as unknown as IncidentPage;
  expect(withState(page, 2, "rejected").items.map((one) => one.state)).toEqual(["open", "rejected"]);
});

test("precision of all is that of all verdicts, not of all rows", () => {
  const row = (confirmed: number, rejected: number, open: number) => ({ camera_id: "gate", category: "fall", confirmed, rejected, open, precision: null });
  expect(total([row(3, 0, 1), row(0, 1, 2)])).toEqual({ confirmed: 3, rejected: 1, open: 3, precision: 0.75 });
  expect(total([row(0, 0, 1), row(0, 0, 2)])?.precision).toBeNull();
  expect(total([row(1, 1, 1)])).toBeNull();
});
