import { expect, test } from "vitest";

import { cameraKeys } from "./cameras";
import { jobKeys } from "./jobs";
import { staleAfter } from "./live";
import { reopenDelay } from "./stream";

test("a finished job renews its camera's archives as well as the lists of jobs", () => {
  const keys = staleAfter("job.completed", { camera_id: "gate", job_id: 1 });
  expect(keys).toContainEqual(cameraKeys.segments("gate"));
  expect(keys).toContainEqual(jobKeys.all);
});

test("a new archive does not reload the list of cameras", () => {
  expect(staleAfter("segment.recorded", { camera_id: "gate" })).not.toContainEqual(cameraKeys.all);
});

test("an event of no camera leaves archives alone", () => {
  expect(staleAfter("job.queued", { camera_id: null }).some(([first]) => first === "segments")).toBe(false);
});

test("a stream that is refused is opened again, ever more calmly", () => {
  expect([1, 2, 3, 9].map(reopenDelay)).toEqual([1000, 2000, 4000, 15_000]);
});
