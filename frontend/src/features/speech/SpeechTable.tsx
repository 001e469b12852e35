import { Link } from "@tanstack/react-router";

import type { SpeechJob } from "../../api/speech";
import { type Column, DataTable } from "../../components/DataTable";
import { JobActions } from "../../components/JobActions";
import { Progress } from "../../components/Progress";
import { JobBadge } from "../../components/StateBadge";
import { title } from "../../lib/format";
import { dateAndTime, utc } from "../../lib/time";

const COLUMNS: Column<SpeechJob>[] = [
  {
    head: "Video",
    wide: true,
    cell: (job) => (
      <Link to="/speech/$jobId" params={{ jobId: job.job_id }} className="font-medium wrap-anywhere text-accent underline-offset-2 hover:underline">
        {job.filename}
      </Link>
    ),
  },
  { head: "Status", wide: true, cell: (job) => <JobBadge status={job.status} /> },
  { head: "Progress", wide: true, isEmpty: (job) => job.status === "completed", cell: (job) => <How job={job} /> },
  { head: "Added", wide: true, className: "whitespace-nowrap text-quiet", cell: (job) => <time dateTime={job.created_at} title={utc(job.created_at)}>{dateAndTime(job.created_at)}</time> },
  {
    head: "",
    wide: true,
    className: "text-right",
    isEmpty: (job) => job.status === "completed",
    cell: (job) => <JobActions job={{ id: job.queue_job_id, status: job.status, cancel_requested: false }} />,
  },
];

export const SpeechTable = ({ jobs }: { jobs: SpeechJob[] }) => (
  <DataTable label="Speech jobs" columns={COLUMNS} rows={jobs} rowKey={(job) => job.job_id} />
);

/** How a job goes: how far it is, or why it failed. */
function How({ job }: { job: SpeechJob }) {
  if (job.status === "processing") return <Progress percent={job.progress} label={job.stage} />;
  if (job.status === "completed") return <span className="text-xs text-quiet">done</span>;
  if (job.error_message) {
    return (
      <p className="max-w-96 text-xs wrap-anywhere">
        <span className="text-bad">{job.error_code ? `${title(job.error_code)}: ${job.error_message}` : job.error_message}</span>
        {job.status === "pending" && <span className="text-quiet"> It will be tried again.</span>}
      </p>
    );
  }
  return <span className="text-xs text-quiet">{job.status === "pending" ? (job.progress > 0 ? "waits in line" : "waits for a worker") : "–"}</span>;
}
