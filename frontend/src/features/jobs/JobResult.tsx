import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";

import type { Incident } from "../../api/cameras";
import type { JobDetail } from "../../api/jobs";
import { Progress } from "../../components/Progress";
import { Score } from "../../components/Score";
import { JobBadge } from "../../components/StateBadge";
import { Badge } from "../../components/ui/Badge";
import { percent, severityTone, words } from "../../lib/format";
import { dateAndTime, position } from "../../lib/time";
import { JobActions } from "./JobsTable";

/** The parts of a scene result that the page knows; whatever else is in it is in the raw JSON. */
interface SceneResult {
  analyser?: string;
  version?: string;
  detector?: string | null;
  model?: { name: string; runtime: string; device: string; input_width: number; input_height: number } | null;
  model_missing?: string | null;
  incidents?: Incident[];
  objects?: Record<string, { tracks: number; peak: number }>;
  coverage?: { duration_s: number; frames_sampled: number; frames_detected: number; seconds_without_motion: number; skipped: string[] };
  timings?: Record<string, number>;
}

function Facts({ rows }: { rows: [string, ReactNode][] }) {
  return (
    <dl className="grid grid-cols-[auto_1fr] gap-x-5 gap-y-1 text-sm">
      {rows.map(([name, value]) => (
        <div key={name} className="contents">
          <dt className="text-quiet">{name}</dt>
          <dd className="break-words">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

const Card = ({ title, children }: { title: string; children: ReactNode }) => (
  <section className="rounded-xl border border-line bg-surface p-4">
    <h2 className="mb-3 font-medium">{title}</h2>
    {children}
  </section>
);

/** One job: what it is about, how it went, what was found and how it was looked for. */
export function JobResult({ job }: { job: JobDetail }) {
  const result = (job.analysis_result ?? {}) as SceneResult;
  return (
    <div className="space-y-5">
      <header className="flex flex-wrap items-center gap-3">
        <h1 className="text-xl font-semibold">{`Job #${job.id}`}</h1>
        <JobBadge status={job.status} />
        <span className="ml-auto"><JobActions job={job} /></span>
      </header>
      {job.status === "processing" && <Progress percent={job.progress} label={job.stage} />}
      {job.error_message && job.status !== "completed" && (
        <p role="alert" className="rounded-md border border-line bg-surface p-3 text-sm text-bad">
          {`${words(job.error_code ?? "error")}: ${job.error_message}`}
        </p>
      )}
      <div className="grid gap-5 lg:grid-cols-2">
        <Card title="Score">
          <Score value={job.safety_score} large />
          <p className="mt-1 text-sm text-quiet">100 is safe, 0 is worst; made from the incidents below.</p>
        </Card>
        <Card title="About">
          <Facts
            rows={[
              ["Camera", job.camera_id ? <Link to="/cameras/$id" params={{ id: job.camera_id }} className="text-accent underline">{job.camera_id}</Link> : "–"],
              ["Archive", job.segment_start ? dateAndTime(job.segment_start) : "–"],
              ["File", job.video_path ?? "–"],
              ["Created", dateAndTime(job.created_at)],
              ["Worker", job.worker_id ?? "–"],
              ["Tries", `${job.retry_count} of ${job.max_retries} used again, attempt ${job.attempt}`],
              ["Trace", <code key="trace" className="text-xs">{job.trace_id ?? "–"}</code>],
            ]}
          />
        </Card>
      </div>
      {result.incidents && (
        <Card title={`Incidents (${result.incidents.length})`}>
          {result.incidents.length === 0 && <p className="text-sm text-quiet">None.</p>}
          <ul className="space-y-3">
            {result.incidents.map((incident) => (
              <li key={`${incident.t_start} ${incident.category}`} className="text-sm">
                <p className="flex flex-wrap items-center gap-3">
                  <Badge tone={severityTone(incident.severity)}>{words(incident.category)}</Badge>
                  <span>{`${position(incident.t_start)} – ${position(incident.t_end)}`}</span>
                  <span className="text-quiet">{`severity ${incident.severity}, ${percent(incident.confidence)} sure`}</span>
                </p>
                <ul className="mt-1 list-disc pl-6 text-quiet">
                  {incident.evidence.map((seen, n) => <li key={n}>{`${position(seen.t)} ${seen.note}`}</li>)}
                </ul>
              </li>
            ))}
          </ul>
        </Card>
      )}
      {result.coverage && (
        <div className="grid gap-5 lg:grid-cols-2">
          <Card title="What was looked at">
            <Facts
              rows={[
                ["Video", `${result.coverage.duration_s.toFixed(0)} s`],
                ["Pictures sampled", result.coverage.frames_sampled],
                ["Pictures searched for objects", result.coverage.frames_detected],
                ["Without motion", `${result.coverage.seconds_without_motion.toFixed(0)} s`],
                ...Object.entries(result.objects ?? {}).map(([name, count]): [string, ReactNode] => [
                  words(name), `${count.tracks} seen, at most ${count.peak} at once`]),
              ]}
            />
            {result.coverage.skipped.map((reason) => <p key={reason} className="mt-2 text-sm text-warn">{reason}</p>)}
          </Card>
          <Card title="How">
            <Facts
              rows={[
                ["Analyser", `${result.analyser ?? "?"} ${result.version ?? ""}`],
                ["Detector", result.model ? `${result.model.name}, ${result.model.input_width} × ${result.model.input_height}` : (result.model_missing ?? "none: only motion was judged")],
                ...(result.model ? [["Runs on", `${result.model.runtime}, ${result.model.device}`] as [string, ReactNode]] : []),
                ...(result.timings?.wall_s ? [["Took", `${result.timings.wall_s.toFixed(1)} s`] as [string, ReactNode]] : []),
              ]}
            />
          </Card>
        </div>
      )}
      {job.analysis_result && (
        <details className="rounded-xl border border-line bg-surface p-4">
          <summary className="cursor-pointer font-medium">Raw result</summary>
          <pre className="mt-3 overflow-x-auto text-xs">{JSON.stringify(job.analysis_result, null, 2)}</pre>
        </details>
      )}
    </div>
  );
}
