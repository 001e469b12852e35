import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { cancelJob, type Job, jobKeys, retryJob } from "../../api/jobs";
import { type Column, DataTable } from "../../components/DataTable";
import { Progress } from "../../components/Progress";
import { Score } from "../../components/Score";
import { JobBadge } from "../../components/StateBadge";
import { Button } from "../../components/ui/Button";
import { dateAndTime, utc } from "../../lib/time";

const COLUMNS: Column<Job>[] = [
  {
    head: "Job",
    cell: (job) => (
      <Link to="/jobs/$id" params={{ id: String(job.id) }} className="font-medium text-accent underline-offset-2 hover:underline">
        {`#${job.id}`}
      </Link>
    ),
  },
  { head: "Camera", cell: (job) => job.camera_id ?? "–" },
  {
    head: "Archive",
    className: "whitespace-nowrap",
    cell: (job) => job.segment_start && <span title={utc(job.segment_start)}>{dateAndTime(job.segment_start)}</span>,
  },
  { head: "Status", cell: (job) => <JobBadge status={job.status} /> },
  { head: "Progress", cell: (job) => <State job={job} /> },
  { head: "Score", cell: (job) => <Score value={job.safety_score} /> },
  { head: "Incidents", cell: (job) => job.incident_count ?? "–" },
  { head: "Tries", cell: (job) => `${job.retry_count} of ${job.max_retries}`, className: "whitespace-nowrap text-quiet" },
  { head: "Worker", cell: (job) => job.worker_id ?? "–", className: "text-quiet" },
  { head: "", cell: (job) => <JobActions job={job} /> },
];

export const JobsTable = ({ jobs }: { jobs: Job[] }) => (
  <DataTable label="Jobs" columns={COLUMNS} rows={jobs} rowKey={(job) => job.id} />
);

function State({ job }: { job: Job }) {
  if (job.status === "processing") return <Progress percent={job.progress} label={job.stage} />;
  if (job.error_message && job.status !== "completed") {
    return <p className="max-w-72 text-xs text-bad">{job.error_message}</p>;
  }
  return <span className="text-xs text-quiet">{job.status === "completed" ? "done" : (job.stage ?? "waiting")}</span>;
}

export function JobActions({ job }: { job: Job }) {
  const cache = useQueryClient();
  const act = useMutation({
    mutationFn: (action: (id: number) => Promise<unknown>) => action(job.id),
    onSettled: () => cache.invalidateQueries({ queryKey: jobKeys.all }),
  });
  const running = job.status === "pending" || job.status === "processing";
  const ended = job.status === "failed" || job.status === "cancelled";
  return (
    <span className="flex items-center gap-2">
      {running && (
        <Button disabled={act.isPending || job.cancel_requested} onClick={() => act.mutate(cancelJob)}>
          {job.cancel_requested ? "Stopping…" : "Cancel"}
        </Button>
      )}
      {ended && <Button disabled={act.isPending} onClick={() => act.mutate(retryJob)}>Try again</Button>}
      {act.error && <span role="alert" className="text-xs text-bad">{act.error.message}</span>}
    </span>
  );
}
