import { Link } from "@tanstack/react-router";
import { useState } from "react";

import type { JobDetail } from "../../api/jobs";
import { Card } from "../../components/Card";
import { DryRunResult } from "../../components/DryRunResult";
import { type Fact, Facts } from "../../components/Facts";
import { JobActions } from "../../components/JobActions";
import { Notice } from "../../components/Notice";
import { PageHeader } from "../../components/PageHeader";
import { Progress } from "../../components/Progress";
import { Score } from "../../components/Score";
import { JobBadge } from "../../components/StateBadge";
import { TestResult } from "../../components/TestResult";
import type { DryRunAnswer, TestAnswer } from "../../components/trials.model";
import { count, title, usd } from "../../lib/format";
import { dateAndTime } from "../../lib/time";
import { ArchivePlayer, type Seek } from "../../player/ArchivePlayer";
import { archiveUrl, insteadOf, isScored, kindName, type SceneResult, speechJobId, took } from "./job.model";
import { JobIncidents } from "./JobIncidents";
import { Coverage, Method } from "./JobMethod";
import { JobWindows } from "./JobWindows";

/** One job: what it is about, how it went, what was found and how it was looked for. */
export function JobResult({ job }: { job: JobDetail }) {
  const isScene = isScored(job.kind);
  const result = (job.analysis_result ?? {}) as SceneResult;
  const instead = isScene ? insteadOf(result) : null;
  return (
    <>
      <PageHeader title={`Job #${job.id}`} beside={<JobBadge status={job.status} />}>
        <JobActions job={job} />
      </PageHeader>
      <div className="space-y-4">
        {job.error_message && job.status !== "completed" && (
          <Notice tone="bad" role="alert" isBanner>
            {job.error_code && <b className="font-semibold">{`${title(job.error_code)}: `}</b>}
            {job.error_message}
          </Notice>
        )}
        {instead && <Notice tone="warn" isBanner>{instead}</Notice>}
        {isScene ? <Scene job={job} result={result} /> : <Trial job={job} />}
        {job.analysis_result && (
          <details className="rounded-xl border border-line bg-surface">
            <summary className="cursor-pointer px-4 py-3 text-sm font-semibold">Raw result</summary>
            <pre className="max-h-[32rem] overflow-auto border-t border-line p-4 text-xs">{JSON.stringify(job.analysis_result, null, 2)}</pre>
          </details>
        )}
      </div>
    </>
  );
}

/** What was understood of an archive. */
function Scene({ job, result }: { job: JobDetail; result: SceneResult }) {
  const [seek, setSeek] = useState<Seek>({ second: 0 });
  const video = archiveUrl(job);
  const play = video ? (second: number) => setSeek({ second }) : null;
  return (
    <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,1fr)_24rem]">
      <div className="min-w-0 space-y-4">
        {video && (
          <div className="aspect-video max-h-[60dvh] w-full overflow-hidden rounded-xl border border-line bg-black">
            <ArchivePlayer src={video} seek={seek} label={`The archive of job ${job.id}`}
              failed={<p>The archive of this job is not there any more.</p>} />
          </div>
        )}
        {result.summary && <Card title="What happened"><p className="text-sm wrap-anywhere">{result.summary}</p></Card>}
        {result.incidents && <JobIncidents incidents={result.incidents} onPlay={play} />}
        {result.windows && <JobWindows windows={result.windows} merge={result.merge} onPlay={play} />}
      </div>
      <div className="min-w-0 space-y-4">
        <Verdict job={job} modelScore={result.model_score ?? null} />
        <About job={job} cost={result.cost_usd} />
        <Coverage result={result} />
        <Method result={result} />
      </div>
    </div>
  );
}

/** What a job gave that ends in no score: a try of a backend or of a prompt, or what was heard. */
function Trial({ job }: { job: JobDetail }) {
  const heard = speechJobId(job);
  return (
    <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,1fr)_24rem]">
      <Card title={kindName(job.kind)}>
        {job.status === "processing" && <Progress percent={job.progress} label={job.stage} />}
        {job.status === "pending" && <p className="text-sm text-quiet">Waits for a worker.</p>}
        {heard !== null && <Link to="/speech/$jobId" params={{ jobId: heard }} className="text-sm text-accent hover:underline">{job.analysis_result ? "To the transcript" : "To its stages"}</Link>}
        {!job.analysis_result && job.status !== "processing" && job.status !== "pending" && <p className="text-sm text-quiet">There is no result.</p>}
        {job.analysis_result && job.kind === "dry_run" && <DryRunResult result={job.analysis_result as unknown as DryRunAnswer} />}
        {job.analysis_result && job.kind === "backend_test" && <TestResult answer={job.analysis_result as unknown as TestAnswer} />}
      </Card>
      <About job={job} />
    </div>
  );
}

function Verdict({ job, modelScore }: { job: JobDetail; modelScore: number | null }) {
  return (
    <Card title="Safety score">
      {job.status === "processing" ? (
        <Progress percent={job.progress} label={job.stage} />
      ) : (
        <div className="flex items-end gap-4">
          <Score value={job.safety_score} size="large" />
          <div className="text-sm text-quiet">
            <p>{job.safety_score === null ? "There is no result." : `of 100, from ${count(job.incident_count ?? 0, "incident")}`}</p>
            {modelScore !== null && <p>the model itself says <Score value={modelScore} /></p>}
          </div>
        </div>
      )}
    </Card>
  );
}

function About({ job, cost }: { job: JobDetail; cost?: number | undefined }) {
  const rows: Fact[] = [
    ["Kind", kindName(job.kind)],
    ["Camera", job.camera_id && <Link to="/cameras/$id" params={{ id: job.camera_id }} className="text-accent hover:underline">{job.camera_id}</Link>],
    ["Archive", job.segment_start && dateAndTime(job.segment_start)],
    ["File", job.video_path && <span className="break-all">{job.video_path}</span>],
    ["Created", dateAndTime(job.created_at)],
    ["Took", took(job)],
    ["Cost", cost === undefined ? null : usd(cost)],
    ["Worker", job.worker_id],
    ["Tries", job.retry_count > 0 ? `${job.retry_count + 1} of ${job.max_retries + 1}` : null],
    ["Deliveries", <Link key="deliveries" to="/deliveries" search={{ job_id: job.id }} className="text-accent hover:underline">what was told of it</Link>],
    ["Trace", job.trace_id && <code className="text-xs break-all">{job.trace_id}</code>],
  ];
  return (
    <Card title="About">
      <Facts rows={rows.filter(([, value]) => value !== null)} />
    </Card>
  );
}
