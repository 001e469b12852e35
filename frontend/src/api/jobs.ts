/** Jobs and workers: keys, queries, mutations. */
import { keepPreviousData, queryOptions, skipToken } from "@tanstack/react-query";

import { api, given, type Schemas, unwrap } from "./client";

export type Job = Schemas["JobSummary"];
export type JobDetail = Schemas["JobDetail"];
export type JobStatus = Schemas["JobStatus"];
export type Worker = Schemas["WorkerView"];
export type WorkerState = Schemas["WorkerState"];

export interface JobFilter {
  status?: JobStatus | undefined;
  camera_id?: string | undefined;
  cursor?: string | undefined;
}

export const jobKeys = {
  all: ["jobs"] as const,
  one: (id: number) => ["jobs", "one", id] as const,
  workers: ["workers"] as const,
};

export const jobsQuery = (filter: JobFilter) =>
  queryOptions({
    queryKey: [...jobKeys.all, "list", filter],
    queryFn: () => unwrap(api.GET("/api/v1/jobs", { params: { query: given({ ...filter, status: filter.status && [filter.status], limit: 50 }) } })),
    refetchInterval: 15_000,
    placeholderData: keepPreviousData,
  });

export const jobQuery = (id: number) =>
  queryOptions({
    queryKey: jobKeys.one(id),
    queryFn: () => unwrap(api.GET("/api/v1/jobs/{job_id}", { params: { path: { job_id: id } } })),
  });

const IS_OVER: Record<JobStatus, boolean> = { pending: false, processing: false, completed: true, failed: true, cancelled: true };

export const isOver = (job: Pick<Job, "status">): boolean => IS_OVER[job.status];

/** A job that somebody waits for in front of the page; null: none is. */
export const followedJobQuery = (id: number | null) =>
  queryOptions({
    queryKey: jobKeys.one(id ?? 0),
    queryFn: id === null ? skipToken : () => unwrap(api.GET("/api/v1/jobs/{job_id}", { params: { path: { job_id: id } } })),
    refetchInterval: (query) => (query.state.data && isOver(query.state.data) ? false : 1000),
  });

export const workersQuery = queryOptions({
  queryKey: jobKeys.workers,
  queryFn: () => unwrap(api.GET("/api/v1/workers")),
  refetchInterval: 5_000,
});

export const cancelJob = (id: number) =>
  unwrap(api.POST("/api/v1/jobs/{job_id}/cancel", { params: { path: { job_id: id } } }));
export const retryJob = (id: number) =>
  unwrap(api.POST("/api/v1/jobs/{job_id}/retry", { params: { path: { job_id: id } } }));
