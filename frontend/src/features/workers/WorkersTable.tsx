import { Link } from "@tanstack/react-router";

import type { Worker } from "../../api/jobs";
import { type Column, DataTable } from "../../components/DataTable";
import { Progress } from "../../components/Progress";
import { WorkerBadge } from "../../components/StateBadge";
import { useNow } from "../../components/useNow";
import { ago, utc } from "../../lib/time";

/** Worker processes and what they do now. */
export function WorkersTable({ workers }: { workers: Worker[] }) {
  const now = useNow(1000);
  const columns: Column<Worker>[] = [
    { head: "Worker", wide: true, cell: (worker) => <span className="font-medium">{worker.name}</span> },
    { head: "State", cell: (worker) => <WorkerBadge state={worker.state} /> },
    {
      head: "Now",
      wide: true,
      cell: (worker) =>
        worker.current_jobs.length === 0 ? (
          <span className="text-quiet">{worker.alive ? "idle" : "–"}</span>
        ) : (
          worker.current_jobs.map((job) => (
            <div key={job.id} className="flex items-center gap-3 text-left">
              <Link to="/jobs/$id" params={{ id: String(job.id) }} className="text-accent hover:underline">{`#${job.id}`}</Link>
              <Progress percent={job.progress} label={job.stage} />
            </div>
          ))
        ),
    },
    {
      head: "Slots",
      cell: (worker) => Object.entries(worker.slots).map(([kind, number]) => `${kind} ${number}`).join(", "),
    },
    { head: "Done", cell: (worker) => worker.jobs_done },
    { head: "Failed", cell: (worker) => worker.jobs_failed },
    { head: "Host", wide: true, cell: (worker) => `${worker.hostname}, pid ${worker.pid}`, className: "text-quiet" },
    {
      head: "Heard of",
      cell: (worker) => <span title={utc(worker.heartbeat_at)}>{`${ago(worker.heartbeat_at, now)} ago`}</span>,
      className: "whitespace-nowrap text-quiet",
    },
  ];
  return <DataTable label="Workers" columns={columns} rows={workers} rowKey={(worker) => worker.name} />;
}
