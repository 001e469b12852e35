/** What was understood of the archives: who understands them, scores, days, costs, tries. */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";

import { api, given, type Schemas, unwrap } from "./client";

export type SceneBackend = Schemas["SceneBackend"];
export type Backend = Schemas["BackendView"];
export type DryRun = Schemas["DryRunRequest"];
export type ScorePoint = Schemas["ScorePoint"];
export type Day = Schemas["DayView"];
export type DayEntry = Schemas["DayEntry"];
export type Costs = Schemas["CostsView"];
export type ScoreStep = "hour" | "day";

export const sceneKeys = {
  all: ["scene"] as const,
  backends: ["scene", "backends"] as const,
};

export const backendsQuery = queryOptions({
  queryKey: sceneKeys.backends,
  queryFn: () => unwrap(api.GET("/api/v1/scene/backends")),
  refetchInterval: 30_000, // a breaker that has run out tells nobody
});

export const scoresQuery = (cameraId: string, by: ScoreStep) =>
  queryOptions({
    queryKey: [...sceneKeys.all, "scores", cameraId, by],
    queryFn: () =>
      unwrap(api.GET("/api/v1/cameras/{camera_id}/scores", { params: { path: { camera_id: cameraId }, query: { by } } })),
    refetchInterval: 5 * 60_000,
    placeholderData: keepPreviousData,
  });

export interface DayFilter {
  day?: string | undefined;
  camera_id?: string | undefined;
  text?: string | undefined;
}

export const dayQuery = (filter: DayFilter) =>
  queryOptions({
    queryKey: [...sceneKeys.all, "day", filter],
    queryFn: () => unwrap(api.GET("/api/v1/scene/day", { params: { query: given(filter) } })),
    refetchInterval: 60_000,
    placeholderData: keepPreviousData,
  });

/** The last week. */
export const costsQuery = queryOptions({
  queryKey: [...sceneKeys.all, "costs"],
  queryFn: () => unwrap(api.GET("/api/v1/scene/costs")),
  refetchInterval: 60_000,
});

/** Puts a small question to a model in line: a job. */
export const testBackend = (backend: SceneBackend) =>
  unwrap(api.POST("/api/v1/scene/backends/{backend}/test", { params: { path: { backend } } }));

/** Puts a try on the camera's last archive in line: a job. Nothing of it is saved. */
export const dryRun = (cameraId: string, body: DryRun) =>
  unwrap(api.POST("/api/v1/cameras/{camera_id}/dry-run", { params: { path: { camera_id: cameraId } }, body }));
