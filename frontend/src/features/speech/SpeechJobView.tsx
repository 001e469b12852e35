import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";

import { jobQuery } from "../../api/jobs";
import type { SpeechDetail } from "../../api/speech";
import { Card } from "../../components/Card";
import { type Fact, Facts } from "../../components/Facts";
import { JobActions } from "../../components/JobActions";
import { Notice } from "../../components/Notice";
import { PageHeader } from "../../components/PageHeader";
import { JobBadge } from "../../components/StateBadge";
import { title } from "../../lib/format";
import { dateAndTime } from "../../lib/time";
import { Downloads, SpeechResultView } from "./SpeechResultView";
import { StageList } from "./StageList";
import type { SpeechResult } from "./transcript.model";

/** One speech job: its stages while it is worked on, then what was heard. `children`: what was called back. */
export function SpeechJobView({ job, children }: { job: SpeechDetail; children: ReactNode }) {
  // a completed one has nothing to act on, and holds the whole transcript once more
  const queued = useQuery({ ...jobQuery(job.queue_job_id), enabled: job.status !== "completed" }).data;
  return (
    <>
      <PageHeader title={job.filename} beside={<JobBadge status={job.status} />}
        below={
          <p className="mt-0.5 flex flex-wrap gap-x-3 text-sm text-quiet">
            <Link to="/speech" className="text-accent hover:underline">All speech jobs</Link>
            <Link to="/jobs/$id" params={{ id: String(job.queue_job_id) }} className="text-accent hover:underline">{`Job #${job.queue_job_id}`}</Link>
            <span>{`added ${dateAndTime(job.created_at)}`}</span>
          </p>
        }>
        {job.result && <Downloads jobId={job.job_id} />}
        {queued && job.status !== "completed" && <JobActions job={queued} />}
      </PageHeader>
      {job.error_message && job.status !== "completed" && (
        <Notice tone="bad" role="alert" isBanner className="mb-4">
          {job.error_code && <b className="font-semibold">{`${title(job.error_code)}: `}</b>}
          {job.error_message}
          {job.status === "pending" && ". It will be tried again."}
        </Notice>
      )}
      {job.result ? (
        <SpeechResultView job={job} result={job.result as unknown as SpeechResult}>{children}</SpeechResultView>
      ) : (
        <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,24rem)_minmax(0,1fr)]">
          <Card title="Progress">
            {job.status === "pending" && <p className="mb-4 text-sm text-quiet">{job.progress > 0 ? "Waits in line for a worker." : "Waits for a worker."}</p>}
            <StageList job={job} />
            {queued && <div className="mt-5 border-t border-line pt-4"><Facts rows={about(queued)} /></div>}
          </Card>
          {children}
        </div>
      )}
    </>
  );
}

function about(job: { retry_count: number; max_retries: number; worker_id: string | null; started_at: string | null }): Fact[] {
  const rows: Fact[] = [
    ["Started", job.started_at && dateAndTime(job.started_at)],
    ["Worker", job.worker_id],
    ["Try", `${job.retry_count + 1} of ${job.max_retries + 1}`],
  ];
  return rows.filter(([, value]) => value !== null);
}
