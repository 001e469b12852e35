/** What the page reads out of jobs and their results. Pure. */
import type { Incident } from "../../api/cameras";
import type { Job } from "../../api/jobs";
import { duration } from "../../lib/time";

/** The parts of a scene result that the page knows; whatever else is in it is in the raw JSON. */
export interface SceneResult {
  analyser?: string;
  version?: string;
  model?: { name: string; runtime: string; device: string; input_width: number; input_height: number } | null;
  model_missing?: string | null;
  settings?: Record<string, unknown>;
  incidents?: Incident[];
  objects?: Record<string, { tracks: number; peak: number }>;
  coverage?: { duration_s: number; frames_sampled: number; frames_detected: number; seconds_without_motion: number; skipped: string[] };
  timings?: Record<string, number>;
}

/** How long a job took, null where it has not ended. */
export function took(job: Pick<Job, "started_at" | "completed_at">): string | null {
  if (!job.started_at || !job.completed_at) return null;
  const seconds = (Date.parse(job.completed_at) - Date.parse(job.started_at)) / 1000;
  return seconds < 10 ? `${seconds.toFixed(1)} s` : duration(seconds);
}

/** Where an archive's file is served, from the path that the job names; null for a job without one. */
export function archiveUrl(job: Pick<Job, "camera_id" | "video_path">): string | null {
  const name = job.video_path?.split("/").at(-1);
  return job.camera_id && name?.endsWith(".mp4") ? `/archive/${encodeURIComponent(job.camera_id)}/${encodeURIComponent(name)}` : null;
}

/** Nested settings as rows: { rules: { fall: { up: 1 } } } -> ["rules.fall.up", "1"]. */
export function flat(settings: Record<string, unknown>, prefix = ""): [string, string][] {
  return Object.entries(settings).flatMap(([name, value]): [string, string][] =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? flat(value as Record<string, unknown>, `${prefix}${name}.`)
      : [[`${prefix}${name}`, typeof value === "string" ? value : JSON.stringify(value)]],
  );
}
