import { Link } from "@tanstack/react-router";

import type { Job } from "../../api/jobs";
import { type Column, DataTable } from "../../components/DataTable";
import { JobActions } from "../../components/JobActions";
import { Progress } from "../../components/Progress";
import { Score } from "../../components/Score";
import { JobBadge } from "../../components/StateBadge";
import { dateAndTime, utc } from "../../lib/time";
import { isScored, kindName, took } from "./job.model";

const COLUMNS: Column<Job>[] = [
  {
    head: "Job",
    cell: (job) => (
      <span>
        <Link to="/jobs/$id" params={{ id: String(job.id) }} className="font-medium text-accent underline-offset-2 hover:underline">
          {`#${job.id}`}
        </Link>
        {!isScored(job.kind) && <span className="ml-2 text-xs whitespace-nowrap text-quiet">{kindName(job.kind)}</span>}
      </span>
    ),
  },
  {
    head: "Camera",
    isEmpty: (job) => job.camera_id === null,
    cell: (job) =>
      job.camera_id && (
        <Link to="/cameras/$id" params={{ id: job.camera_id }} className="hover:underline">{job.camera_id}</Link>
      ),
  },
  {
    head: "Archive",
    wide: true,
    className: "whitespace-nowrap",
    isEmpty: (job) => job.segment_start === null,
    cell: (job) => job.segment_start && <span title={utc(job.segment_start)}>{dateAndTime(job.segment_start)}</span>,
  },
  { head: "Status", cell: (job) => <JobBadge status={job.status} /> },
  { head: "Progress", wide: true, isEmpty: (job) => job.status === "completed", cell: (job) => <How job={job} /> },
  { head: "Score", isEmpty: (job) => job.safety_score === null, cell: (job) => isScored(job.kind) && <Score value={job.safety_score} /> },
  { head: "Incidents", isEmpty: (job) => job.incident_count === null, cell: (job) => isScored(job.kind) && (job.incident_count ?? "–") },
  { head: "Took", className: "whitespace-nowrap text-quiet", isEmpty: (job) => took(job) === null, cell: (job) => took(job) ?? "–" },
  { head: "Worker", wide: true, className: "text-quiet", isEmpty: (job) => job.worker_id === null, cell: (job) => job.worker_id ?? "–" },
  { head: "", wide: true, className: "text-right", isEmpty: (job) => job.status === "completed", cell: (job) => <JobActions job={job} /> },
];

export const JobsTable = ({ jobs }: { jobs: Job[] }) => (
  <DataTable label="Jobs" columns={COLUMNS} rows={jobs} rowKey={(job) => job.id} />
);

/** How a job goes: how far it is, why it failed, or that it will be tried again. */
function How({ job }: { job: Job }) {
  if (job.status === "processing") return <Progress percent={job.progress} label={job.stage} />;
  const again = job.retry_count > 0 && job.status === "pending" ? `try ${job.retry_count + 1} of ${job.max_retries + 1}` : null;
  if (job.error_message && job.status !== "completed") {
    return (
      <p className="max-w-72 text-xs">
        <span className="text-bad">{job.error_message}</span>
        {again && <span className="text-quiet">{` Next: ${again}.`}</span>}
      </p>
    );
  }
  if (job.status === "completed") return <span className="text-xs text-quiet">done</span>;
  return <span className="text-xs text-quiet">{again ?? (job.status === "pending" ? "waits for a worker" : "–")}</span>;
}
