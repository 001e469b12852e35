import { expect, test } from "vitest";

import { stagesAt } from "./stages.model";

const states = (...of: Parameters<typeof stagesAt>) => stagesAt(...of).map(({ state }) => state);

test("a running job has stages behind it, one that it is in, and stages before it", () => {
  expect(states({ status: "processing", progress: 50 })).toEqual(["done", "done", "done", "now", "waiting", "waiting", "waiting"]);
  expect(stagesAt({ status: "processing", progress: 50 })[3]?.percent).toBe(50);
});

test("at a mark the stage before it is done and the next one begins", () => {
  expect(states({ status: "processing", progress: 10 }).slice(0, 3)).toEqual(["done", "now", "waiting"]);
});

test("a failed or cancelled job stopped in one stage", () => {
  expect(states({ status: "failed", progress: 0 })).toEqual(["stopped", ...Array<string>(6).fill("waiting")]);
  expect(states({ status: "cancelled", progress: 62 })[4]).toBe("stopped");
});

test("a job in line waits, and a completed one is done with all", () => {
  expect(new Set(states({ status: "pending", progress: 0 }))).toEqual(new Set(["waiting"]));
  expect(new Set(states({ status: "completed", progress: 100 }))).toEqual(new Set(["done"]));
});
