import { Link } from "@tanstack/react-router";
import { useState } from "react";

import type { JobDetail } from "../../api/jobs";
import { Card } from "../../components/Card";
import { type Fact, Facts } from "../../components/Facts";
import { PageHeader } from "../../components/PageHeader";
import { Progress } from "../../components/Progress";
import { Score } from "../../components/Score";
import { JobBadge } from "../../components/StateBadge";
import { Icon } from "../../components/ui/Icon";
import { count, title, words } from "../../lib/format";
import { dateAndTime } from "../../lib/time";
import { ArchivePlayer, type Seek } from "../../player/ArchivePlayer";
import { archiveUrl, flat, type SceneResult, took } from "./job.model";
import { JobActions } from "./JobActions";
import { JobIncidents } from "./JobIncidents";

/** One job: what it is about, how it went, what was found and how it was looked for. */
export function JobResult({ job }: { job: JobDetail }) {
  const [seek, setSeek] = useState<Seek>({ second: 0 });
  const result = (job.analysis_result ?? {}) as SceneResult;
  const video = archiveUrl(job);
  return (
    <>
      <PageHeader title={`Job #${job.id}`} beside={<JobBadge status={job.status} />}>
        <JobActions job={job} />
      </PageHeader>
      <div className="space-y-4">
        {job.error_message && job.status !== "completed" && (
          <p role="alert" className="flex gap-2 rounded-xl border border-bad/25 bg-bad/10 px-4 py-3 text-sm text-bad">
            <Icon name="alert" className="mt-0.5 size-4" />
            <span>
              {job.error_code && <b className="font-semibold">{`${title(job.error_code)}: `}</b>}
              {job.error_message}
            </span>
          </p>
        )}
        <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,1fr)_24rem]">
          <div className="min-w-0 space-y-4">
            {video && (
              <div className="aspect-video max-h-[60dvh] w-full overflow-hidden rounded-xl border border-line bg-black">
                <ArchivePlayer src={video} seek={seek} label={`The archive of job ${job.id}`}
                  failed={<p>The archive of this job is not there any more.</p>} />
              </div>
            )}
            {result.incidents && <JobIncidents incidents={result.incidents} onPlay={video ? (second) => setSeek({ second }) : null} />}
          </div>
          <div className="min-w-0 space-y-4">
            <Verdict job={job} />
            <About job={job} />
            <Coverage result={result} />
            <Method result={result} />
          </div>
        </div>
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

function Verdict({ job }: { job: JobDetail }) {
  return (
    <Card title="Safety score">
      {job.status === "processing" ? (
        <Progress percent={job.progress} label={job.stage} />
      ) : (
        <div className="flex items-end gap-4">
          <Score value={job.safety_score} size="large" />
          <p className="text-sm text-quiet">
            {job.safety_score === null ? "There is no result." : `of 100, from ${count(job.incident_count ?? 0, "incident")}`}
          </p>
        </div>
      )}
    </Card>
  );
}

function About({ job }: { job: JobDetail }) {
  const rows: Fact[] = [
    ["Kind", job.kind],
    ["Camera", job.camera_id && <Link to="/cameras/$id" params={{ id: job.camera_id }} className="text-accent hover:underline">{job.camera_id}</Link>],
    ["Archive", job.segment_start && dateAndTime(job.segment_start)],
    ["File", job.video_path && <span className="break-all">{job.video_path}</span>],
    ["Created", dateAndTime(job.created_at)],
    ["Took", took(job)],
    ["Worker", job.worker_id],
    ["Tries", job.retry_count > 0 ? `${job.retry_count + 1} of ${job.max_retries + 1}` : null],
    ["Trace", job.trace_id && <code className="text-xs break-all">{job.trace_id}</code>],
  ];
  return (
    <Card title="About">
      <Facts rows={rows.filter(([, value]) => value !== null)} />
    </Card>
  );
}

function Coverage({ result }: { result: SceneResult }) {
  const { coverage, objects = {} } = result;
  if (!coverage) return null;
  return (
    <Card title="What was looked at">
      <Facts
        rows={[
          ["Video", `${coverage.duration_s.toFixed(0)} s`],
          ["Pictures", `${coverage.frames_sampled} sampled, ${coverage.frames_detected} searched for objects`],
          ["No motion", `${coverage.seconds_without_motion.toFixed(0)} s`],
          ...Object.entries(objects).map(([name, seen]): Fact => [title(name), `${seen.tracks} seen, at most ${seen.peak} at once`]),
          ["Skipped", coverage.skipped.length === 0 ? "nothing" : <ul className="text-warn">{coverage.skipped.map((reason) => <li key={reason}>{reason}</li>)}</ul>],
        ]}
      />
    </Card>
  );
}

function Method({ result }: { result: SceneResult }) {
  const { analyser, version, model, timings = {}, settings } = result;
  if (!analyser) return null;
  const rows: Fact[] = [
    ["Analyser", `${analyser}${version ? `, version ${version}` : ""}`],
    ["Model", model ? `${model.name}, ${model.input_width} × ${model.input_height}` : (result.model_missing ?? "none: only motion was judged")],
  ];
  if (model) rows.push(["Runs on", `${model.runtime}, ${model.device}`]);
  for (const [name, seconds] of Object.entries(timings)) rows.push([title(name.replace(/_s$/, "")), `${seconds.toFixed(2)} s`]);
  return (
    <Card title="How">
      <Facts rows={rows} />
      {settings && (
        <details className="mt-3 text-sm">
          <summary className="cursor-pointer text-quiet">Settings</summary>
          <dl className="mt-2 space-y-0.5 font-mono text-xs">
            {flat(settings).map(([name, value]) => (
              <div key={name} className="flex justify-between gap-4">
                <dt className="break-all text-quiet">{words(name)}</dt>
                <dd>{value}</dd>
              </div>
            ))}
          </dl>
        </details>
      )}
    </Card>
  );
}
