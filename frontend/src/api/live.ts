/** One event stream that keeps the cache true: what happens on the server shows without asking again. */
import type { QueryClient } from "@tanstack/react-query";

import { callbackKeys } from "./callbacks";
import { cameraKeys } from "./cameras";
import { incidentKeys } from "./incidents";
import { type Job, jobKeys } from "./jobs";
import { operationKeys } from "./operations";
import { sceneKeys } from "./scene";
import { type SpeechDetail, type SpeechJob, speechKeys } from "./speech";
import { openStream } from "./stream";

export type Connection = "connecting" | "open" | "lost";

const FLUSH_MS = 300;
const TYPES = [
  "camera.changed", "camera.deleted", "camera.state_changed", "segment.recorded", "segment.deleted",
  "job.queued", "job.started", "job.progress", "job.completed", "job.failed", "job.cancelled", "worker.changed",
  "incident.found", "incident.reviewed",
];
const ENDS = ["job.completed", "job.failed", "job.cancelled"];

export interface Payload {
  camera_id?: string | null;
  job_id?: number;
  progress?: number;
  message?: string;
}

/** What of the cache an event makes stale. */
export function staleAfter(type: string, { camera_id }: Payload): (readonly unknown[])[] {
  if (type === "worker.changed") return [jobKeys.workers, operationKeys.health];
  const recordings = camera_id ? [cameraKeys.segments(camera_id), cameraKeys.gaps(camera_id)] : [];
  if (type.startsWith("camera.")) return [cameraKeys.all, sceneKeys.backends, operationKeys.health, ...recordings];
  if (type.startsWith("job.")) {
    // reports and costs come with a job's end; one without a result may have cost something too
    const ended = ENDS.includes(type) ? [sceneKeys.all, callbackKeys.all] : [];
    return [jobKeys.all, jobKeys.workers, operationKeys.health, speechKeys.all, ...ended, ...recordings];
  }
  if (type.startsWith("incident.")) return [incidentKeys.all, ...recordings];
  return recordings;
}

/** Follow the server's events until the returned function is called. */
export function followEvents(cache: QueryClient, onConnection: (state: Connection) => void): () => void {
  const stale = new Map<string, readonly unknown[]>();
  let timer: number | undefined;
  let wasLost = false;

  const flush = () => {
    timer = undefined;
    for (const queryKey of stale.values()) void cache.invalidateQueries({ queryKey });
    stale.clear();
  };
  const take = (type: string, payload: Payload) => {
    if (type === "job.progress") {
      showProgress(cache, payload);
      return;
    }
    for (const queryKey of staleAfter(type, payload)) stale.set(JSON.stringify(queryKey), queryKey);
    timer ??= window.setTimeout(flush, FLUSH_MS);
  };
  const close = openStream("/api/v1/events", TYPES, {
    onEvent: (type, data) => take(type, JSON.parse(data) as Payload),
    onOpen: () => {
      onConnection("open");
      if (wasLost) void cache.invalidateQueries();
      wasLost = false;
    },
    onLost: () => {
      onConnection("lost");
      // a session that has run out ends the stream too: ask once, and the page shows the log-in
      if (!wasLost) void cache.invalidateQueries({ queryKey: operationKeys.session });
      wasLost = true;
    },
  });
  return () => {
    window.clearTimeout(timer);
    close();
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
  cache.setQueriesData<{ items: SpeechJob[] }>({ queryKey: speechKeys.lists }, (page) =>
    page && { ...page, items: page.items.map((job) => (job.queue_job_id === job_id ? { ...job, ...change } : job)) },
  );
  cache.setQueriesData<SpeechDetail>({ queryKey: speechKeys.ones }, (job) => (job?.queue_job_id === job_id ? { ...job, ...change } : job));
}
