/** States in words and tones. Exhaustive: a new state of the server fails to compile here. */
import type { CameraState } from "../api/cameras";
import type { JobStatus, WorkerState } from "../api/jobs";
import type { Tone } from "../lib/format";
import { Badge } from "./ui/Badge";

const CAMERA: Record<CameraState, Tone> = {
  starting: "info",
  live: "good",
  stalled: "warn",
  reconnecting: "warn",
  failed: "bad",
  stopped: "quiet",
};

const JOB: Record<JobStatus, Tone> = {
  pending: "quiet",
  processing: "info",
  completed: "good",
  failed: "bad",
  cancelled: "quiet",
};

/** In the order of a job's life. */
export const JOB_STATUSES = Object.keys(JOB) as JobStatus[];

const WORKER: Record<WorkerState, Tone> = { running: "good", draining: "warn", stopped: "quiet", dead: "bad" };

export const CameraBadge = ({ state, title }: { state: CameraState; title?: string | undefined }) => (
  <Badge tone={CAMERA[state]} title={title}>
    {state}
  </Badge>
);
export const JobBadge = ({ status }: { status: JobStatus }) => <Badge tone={JOB[status]}>{status}</Badge>;
export const WorkerBadge = ({ state }: { state: WorkerState }) => <Badge tone={WORKER[state]}>{state}</Badge>;
