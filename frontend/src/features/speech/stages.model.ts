/** How far a speech job is, by stage. Pure. */
import type { JobStatus } from "../../api/jobs";

interface Band {
  label: string;
  from: number;
  to: number;
}

/** Percent at which each stage begins and ends, as the server tells progress. */
const BANDS: readonly Band[] = [
  { label: "Download", from: 0, to: 10 },
  { label: "Audio extraction", from: 10, to: 25 },
  { label: "Speech detection", from: 25, to: 40 },
  { label: "Speakers", from: 40, to: 60 },
  { label: "Transcription", from: 60, to: 75 },
  { label: "Loudness, pitch, confidence", from: 75, to: 90 },
  { label: "Result", from: 90, to: 100 },
];

export type StageState = "done" | "now" | "stopped" | "waiting";

export interface StageProgress {
  label: string;
  state: StageState;
  /** Percent of the stage itself. */
  percent: number;
}

/** What the stage that a job is in is called, by the job's status. */
const HERE: Record<JobStatus, StageState> = { pending: "waiting", processing: "now", completed: "done", failed: "stopped", cancelled: "stopped" };

export function stagesAt({ status, progress }: { status: JobStatus; progress: number }): StageProgress[] {
  return BANDS.map(({ label, from, to }, n) => {
    if (status === "completed" || progress >= to) return { label, state: "done", percent: 100 };
    if (progress < from || (progress === 0 && n > 0)) return { label, state: "waiting", percent: 0 };
    return { label, state: HERE[status], percent: Math.round(((progress - from) / (to - from)) * 100) };
  });
}
