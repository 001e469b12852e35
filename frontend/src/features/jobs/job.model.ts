/** What the page reads out of jobs, their results and the address of their list. Pure. */
import type { Job, JobDetail, JobFilter } from "../../api/jobs";
import { backendName } from "../../components/backends.model";
import { JOB_STATUSES } from "../../components/StateBadge";
import type { Usage } from "../../components/trials.model";
import { type Tone, title } from "../../lib/format";
import { asOneOf, asText } from "../../lib/search";
import { duration } from "../../lib/time";

/** An incident as a result holds it. */
export interface FoundIncident {
  category: string;
  t_start: number;
  t_end: number;
  severity: number;
  confidence: number;
  evidence: { t: number; note: string }[];
}

export type WindowState = "analysed" | "no_motion" | "unanalysed";

/** What became of one stretch of an archive that a model is asked about. */
export interface SceneWindow {
  index: number;
  t_start: number;
  t_end: number;
  state: WindowState;
  reason: string | null;
  asked: number;
  visibility: string | null;
  summary: string | null;
}

export interface Refusal {
  backend: string;
  code: string;
  reason: string;
}

/** The parts of a scene result that the page knows; whatever else is in it is in the raw JSON. */
export interface SceneResult {
  analyser?: string;
  version?: string;
  backend?: string;
  model?: string | null;
  model_version?: string | null;
  prompt_version?: string;
  detector?: { name: string; runtime: string; device: string; input_width: number; input_height: number } | null;
  detector_missing?: string | null;
  summary?: string;
  model_score?: number | null;
  usage?: Usage;
  windows?: SceneWindow[];
  merge?: { by: string; reason: string | null };
  fallback?: Refusal[];
  cost_usd?: number;
  settings?: Record<string, unknown>;
  incidents?: FoundIncident[];
  objects?: Record<string, { tracks: number; peak: number }>;
  coverage?: { duration_s: number; frames_sampled: number; frames_detected: number; seconds_without_motion: number; skipped: string[] };
  timings?: Record<string, number>;
}

export const readSearch = (search: Record<string, unknown>): JobFilter => ({
  status: asOneOf(JOB_STATUSES, search.status),
  camera_id: asText(search.camera_id),
  cursor: asText(search.cursor),
});

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

const KINDS: Record<string, string | undefined> = { scene: "Scene analysis", backend_test: "Backend test", dry_run: "Dry run", speech: "Speech" };
const UNSCORED = ["backend_test", "dry_run", "speech"];

/** A kind of job in words. */
export const kindName = (kind: string): string => KINDS[kind] ?? title(kind);

/** Whether a kind of job ends in a safety score. */
export const isScored = (kind: string): boolean => !UNSCORED.includes(kind);

/** The page of what a speech job heard goes by its caller's id; null for jobs of other kinds. */
export function speechJobId({ kind, payload }: Pick<JobDetail, "kind" | "payload">): string | null {
  const id = payload?.job_id;
  return kind === "speech" && typeof id === "string" ? id : null;
}

/** Windows by what became of them: how they look, and in words. */
export const WINDOW_STATES: Record<WindowState, { tone: Tone; label: string }> = {
  analysed: { tone: "good", label: "analysed" },
  no_motion: { tone: "quiet", label: "no motion" },
  unanalysed: { tone: "bad", label: "not analysed" },
};

/** Who answered in whose stead, and why; null where the first who was asked did. */
export function insteadOf({ backend, fallback = [] }: Pick<SceneResult, "backend" | "fallback">): string | null {
  if (fallback.length === 0 || backend === undefined) return null;
  return `Answered by ${backendName(backend)}: ${fallback.map((one) => `${backendName(one.backend)}: ${one.reason}`).join("; ")}`;
}
