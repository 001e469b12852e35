/** One event stream that keeps the cache true. The browser resumes it with Last-Event-ID by itself. */
import type { QueryClient } from "@tanstack/react-query";

import { cameraKeys } from "./cameras";
import { type Job, jobKeys } from "./jobs";

export type Connection = "connecting" | "open" | "lost";

const FLUSH_MS = 300;
const TYPES = [
  "camera.changed", "camera.deleted", "camera.state_changed", "segment.recorded", "segment.deleted",
  "job.queued", "job.started", "job.progress", "job.completed", "job.failed", "job.cancelled", "worker.changed",
];

interface Payload {
  camera_id?: string | null;
  job_id?: number;
  progress?: number;
  message?: string;
}

/** Follow the server's events until the returned function is called. */
export function followEvents(cache: QueryClient, onConnection: (state: Connection) => void): () => void {
  const stale = new Map<string, readonly unknown[]>();
  let timer: number | undefined;
  const source = new EventSource("/api/v1/events");

  const flush = () => {
    timer = undefined;
    for (const queryKey of stale.values()) void cache.invalidateQueries({ queryKey });
    stale.clear();
  };
  const invalidate = (queryKey: readonly unknown[]) => {
    stale.set(JSON.stringify(queryKey), queryKey);
    timer ??= window.setTimeout(flush, FLUSH_MS);
  };
  const take = (type: string, payload: Payload) => {
    if (type === "job.progress") {
      showProgress(cache, payload);
      return;
    }
    if (type.startsWith("camera.")) invalidate(cameraKeys.all);
    if (type.startsWith("job.")) {
      invalidate(jobKeys.all);
      invalidate(jobKeys.workers);
    }
    if (type === "worker.changed") invalidate(jobKeys.workers);
    if (payload.camera_id && !type.startsWith("camera.")) {
      invalidate(cameraKeys.segments(payload.camera_id));
    }
  };

  for (const type of TYPES) {
    source.addEventListener(type, (event: MessageEvent<string>) => take(type, JSON.parse(event.data) as Payload));
  }
  let wasLost = false;
  source.onopen = () => {
    onConnection("open");
    if (wasLost) void cache.invalidateQueries();
    wasLost = false;
  };
  source.onerror = () => {
    wasLost = true;
    onConnection("lost");
  };
  return () => {
    window.clearTimeout(timer);
    source.close();
  };
}

/** Progress comes often: put it into the lists without asking the server again. */
function showProgress(cache: QueryClient, { job_id, progress, message }: Payload): void {
  if (job_id === undefined || progress === undefined) return;
  const change = { progress, stage: message ?? null };
  cache.setQueriesData<{ items: Job[] }>({ queryKey: [...jobKeys.all, "list"] }, (page) =>
    page && { ...page, items: page.items.map((job) => (job.id === job_id ? { ...job, ...change } : job)) },
  );
  cache.setQueryData<Job>(jobKeys.one(job_id), (job) => job && { ...job, ...change });
}
