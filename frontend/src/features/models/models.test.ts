import { expect, test } from "vitest";

import type { Backend, Costs } from "../../api/scene";
import { costRows, lastDays, priceOf, shareOf } from "./models.model";

const entry = (day: string, camera_id: string | null, cost_usd: number) => ({ day, camera_id, cost_usd, calls: 1, input_tokens: 10, output_tokens: 2 });
const costs: Costs = {
  timezone: "Etc/UTC", total_budget_usd: 2, camera_budget_usd: 0.5,
  entries: [entry("2026-03-01", null, 0.4), entry("2026-03-01", "gate", 0.3), entry("2026-03-01", "gone", 0.1), entry("2026-02-27", "gate", 0.2)],
};
const cameras = [{ id: "gate", name: "Gate", daily_budget_usd: 1 }, { id: "yard", name: "Yard", daily_budget_usd: null }];

test("the last days begin with today", () => {
  expect(lastDays("2026-03-01").slice(0, 3)).toEqual(["2026-03-01", "2026-02-28", "2026-02-27"]);
});

test("every camera has a row, also one that is gone or has cost nothing", () => {
  const rows = costRows(costs, cameras, lastDays("2026-03-01"));
  expect(rows.map(({ name, cap, spent }) => [name, cap, spent])).toEqual([["All cameras", 2, 0.4], ["Gate", 1, 0.3], ["Yard", 0.5, 0], ["gone", 0.5, 0.1]]);
  expect(rows[1]?.days.map((day) => day?.cost_usd ?? null)).toEqual([0.3, null, 0.2, null, null, null, null]);
});

test("a share of no cap is none, and of a cap of nothing all", () => {
  expect([shareOf({ cap: null, spent: 1 }), shareOf({ cap: 0, spent: 0 }), shareOf({ cap: 2, spent: 0.5 }), shareOf({ cap: 1, spent: 3 })]).toEqual([null, 1, 0.25, 1]);
});

test("a price names both sides, and a missing one is said", () => {
  const backend = (input: number | null, output: number | null) => ({ input_usd_per_million: input, output_usd_per_million: output }) as Backend;
  expect(priceOf(backend(0.3, 2.5))).toBe("$0.30 in, $2.50 out, for a million tokens");
  expect(priceOf(backend(0, 0))).toContain("free");
  expect(priceOf(backend(null, null))).toBeNull();
});
