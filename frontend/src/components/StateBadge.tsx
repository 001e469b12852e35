/** States in words and tones. Exhaustive: a new state of the server fails to compile here. */
import type { CallbackState } from "../api/callbacks";
import type { CameraState } from "../api/cameras";
import type { IncidentState } from "../api/incidents";
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

/** What a person has made of an incident. */
const INCIDENT: Record<IncidentState, Tone> = { open: "info", confirmed: "good", rejected: "quiet" };
export const INCIDENT_STATES = Object.keys(INCIDENT) as IncidentState[];

/** What became of a callback. */
const CALLBACK: Record<CallbackState, Tone> = { pending: "info", delivered: "good", superseded: "quiet", dead: "bad" };
export const CALLBACK_STATES = Object.keys(CALLBACK) as CallbackState[];

export const CameraBadge = ({ state, title }: { state: CameraState; title?: string | undefined }) => (
  <Badge tone={CAMERA[state]} title={title}>
    {state}
  </Badge>
);
export const JobBadge = ({ status }: { status: JobStatus }) => <Badge tone={JOB[status]}>{status}</Badge>;
export const WorkerBadge = ({ state }: { state: WorkerState }) => <Badge tone={WORKER[state]}>{state}</Badge>;
export const IncidentBadge = ({ state, title }: { state: IncidentState; title?: string | undefined }) => (
  <Badge tone={INCIDENT[state]} title={title}>
    {state}
  </Badge>
);
export const CallbackBadge = ({ state, title }: { state: CallbackState; title?: string | undefined }) => (
  <Badge tone={CALLBACK[state]} title={title}>
    {state}
  </Badge>
);
