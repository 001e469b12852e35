import { expect, test } from "vitest";

import { callbackKeys } from "./callbacks";
import { cameraKeys } from "./cameras";
import { incidentKeys } from "./incidents";
import { jobKeys } from "./jobs";
import { staleAfter } from "./live";
import { sceneKeys } from "./scene";
import { speechKeys } from "./speech";
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

test("a found or judged incident renews the lists of incidents and its camera's archives", () => {
  for (const type of ["incident.found", "incident.reviewed"]) {
    expect(staleAfter(type, { camera_id: "gate" })).toEqual(expect.arrayContaining([incidentKeys.all, cameraKeys.segments("gate")]));
  }
});

test("only the end of a job renews days, scores and costs", () => {
  expect(staleAfter("job.completed", { camera_id: "gate" })).toContainEqual(sceneKeys.all);
  expect(staleAfter("job.failed", { camera_id: "gate" })).toContainEqual(sceneKeys.all);
  expect(staleAfter("job.started", { camera_id: "gate" })).not.toContainEqual(sceneKeys.all);
});

test("what befalls a job renews the speech jobs, and its end what was called back", () => {
  for (const type of ["job.queued", "job.started", "job.failed", "job.cancelled"]) expect(staleAfter(type, {})).toContainEqual(speechKeys.all);
  expect(staleAfter("job.completed", {})).toContainEqual(callbackKeys.all);
  expect(staleAfter("job.started", {})).not.toContainEqual(callbackKeys.all);
});

test("a job that is called off tells its receiver so, and may have cost something", () => {
  expect(staleAfter("job.cancelled", {})).toEqual(expect.arrayContaining([callbackKeys.all, sceneKeys.all]));
});
