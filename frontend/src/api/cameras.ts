/** Cameras and their recordings: keys, queries, mutations. */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";

import { api, type Schemas, unwrap } from "./client";

export type Camera = Schemas["CameraView"];
export type CameraCreate = Schemas["CameraCreate"];
export type CameraUpdate = Schemas["CameraUpdate"];
export type CameraState = Schemas["CameraState"];
export type Segment = Awaited<ReturnType<typeof segmentsPage>>["items"][number];
export type Incident = Segment["incidents"][number];
export type Gap = Schemas["GapView"];
export type ProbeAnswer = Schemas["ProbeAnswer"];

export const cameraKeys = {
  all: ["cameras"] as const,
  segments: (id: string) => ["segments", id] as const,
  gaps: (id: string) => ["gaps", id] as const,
  storage: (id: string) => ["segments", id, "storage"] as const,
};

export const camerasQuery = queryOptions({
  queryKey: cameraKeys.all,
  queryFn: () => unwrap(api.GET("/api/v1/cameras")),
  refetchInterval: 15_000,
});

const segmentsPage = (id: string, query: { since?: string; limit: number; cursor?: string }) =>
  unwrap(api.GET("/api/v1/cameras/{camera_id}/segments", { params: { path: { camera_id: id }, query } }));

const PAGE = 500;
const MOST_PAGES = 20;

/** Every archive since a moment, newest first; short archives make more than one page of a day. */
async function segmentsSince(id: string, since: string): Promise<Segment[]> {
  const found: Segment[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const answer = await segmentsPage(id, { since, limit: PAGE, ...(cursor === null ? {} : { cursor }) });
    found.push(...answer.items);
    cursor = answer.next_cursor ?? null;
    if (cursor === null) break;
  }
  return found;
}

export const segmentsQuery = (id: string, hours: number) =>
  queryOptions({
    queryKey: [...cameraKeys.segments(id), hours],
    queryFn: () => segmentsSince(id, new Date(Date.now() - hours * 3_600_000).toISOString()),
    refetchInterval: hours > 1 ? 60_000 : 20_000, // events tell of changes; this is for the growing archive
    placeholderData: keepPreviousData,
  });

export const latestQuery = (id: string) =>
  queryOptions({
    queryKey: [...cameraKeys.segments(id), "latest"],
    queryFn: () => segmentsPage(id, { limit: 4 }),
    refetchInterval: 60_000,
  });

export const gapsQuery = (id: string, hours: number) =>
  queryOptions({
    queryKey: [...cameraKeys.gaps(id), hours],
    queryFn: () => {
      const since = new Date(Date.now() - hours * 3_600_000).toISOString();
      return unwrap(
        api.GET("/api/v1/cameras/{camera_id}/gaps", { params: { path: { camera_id: id }, query: { since } } }),
      );
    },
    refetchInterval: 60_000,
    placeholderData: keepPreviousData,
  });

export const storageQuery = (id: string) =>
  queryOptions({
    queryKey: cameraKeys.storage(id),
    queryFn: () => unwrap(api.GET("/api/v1/cameras/{camera_id}/storage", { params: { path: { camera_id: id } } })),
  });

export const createCamera = (body: CameraCreate) => unwrap(api.POST("/api/v1/cameras", { body }));
export const updateCamera = (id: string, body: CameraUpdate) =>
  unwrap(api.PATCH("/api/v1/cameras/{camera_id}", { params: { path: { camera_id: id } }, body }));
export const probeSource = (source: string, cameraId: string | null) =>
  unwrap(api.POST("/api/v1/cameras/probe", { body: { source, camera_id: cameraId } }));
export const enableCamera = (id: string, enabled: boolean) =>
  unwrap(
    enabled
      ? api.POST("/api/v1/cameras/{camera_id}/enable", { params: { path: { camera_id: id } } })
      : api.POST("/api/v1/cameras/{camera_id}/disable", { params: { path: { camera_id: id } } }),
  );
export const deleteCamera = (id: string, archives: "keep" | "delete") =>
  unwrap(
    api.DELETE("/api/v1/cameras/{camera_id}", { params: { path: { camera_id: id }, query: { archives } } }),
  );
