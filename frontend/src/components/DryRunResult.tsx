import type { ReactNode } from "react";

import { bytes, count, percent } from "../lib/format";
import { position } from "../lib/time";
import { backendName } from "./backends.model";
import { type Fact, Facts } from "./Facts";
import { Notice } from "./Notice";
import { Score } from "./Score";
import { SeverityBadge } from "./SeverityBadge";
import { usageLine } from "./TestResult";
import { type DryRunAnswer, seen } from "./trials.model";

/** What was asked about a window of an archive, what came back, and what it cost. */
export function DryRunResult({ result }: { result: DryRunAnswer }) {
  const facts: Fact[] = [["Asked", [backendName(result.backend), result.model].filter(Boolean).join(" · ")]];
  if (result.window) facts.push(["About", `${position(result.window.t_start)} – ${position(result.window.t_end)} of the last archive`]);
  if (result.usage) facts.push(["Cost", usageLine(result.usage)]);
  return (
    <div role="status" aria-label="What the try gave" className="space-y-4 rounded-md border border-line bg-raised/40 p-3 text-sm">
      <Facts rows={facts} />
      <Request result={result} />
      <div className="space-y-2">
        <h3 className="font-semibold">Answer</h3>
        {result.error && <Notice tone="bad" role="alert">{result.error}</Notice>}
        {result.answer && <Answer answer={result.answer} />}
        {result.text && <Disclosure title="As it came"><Text>{result.text}</Text></Disclosure>}
      </div>
      <p className="text-xs text-quiet">Nothing of this is saved with the camera.</p>
    </div>
  );
}

function Request({ result: { request, prompt_version } }: { result: DryRunAnswer }) {
  if (!request) return <p className="text-quiet">No model was asked: the archive was looked at on this machine alone.</p>;
  const pictures = request.pictures;
  const size = pictures.reduce((sum, picture) => sum + picture.bytes, 0);
  return (
    <div className="space-y-2">
      <h3 className="font-semibold">
        Request
        {prompt_version && <span className="ml-2 text-xs font-normal text-quiet">{`prompt version ${prompt_version}`}</span>}
      </h3>
      {request.clip && <p>{`A clip of ${request.clip.seconds.toFixed(1)} s, ${count(request.clip.fps, "picture")} a second, ${bytes(request.clip.bytes)}.`}</p>}
      {pictures.length > 0 && (
        <p>{`${pictures.length} pictures, ${position(pictures[0]?.t ?? 0)} – ${position(pictures.at(-1)?.t ?? 0)}, ${bytes(size)}.`}</p>
      )}
      <Disclosure title="Instructions"><Text>{request.instructions}</Text></Disclosure>
      <Disclosure title="Text"><Text>{request.text}</Text></Disclosure>
      <Disclosure title="Schema of the answer"><Text>{JSON.stringify(request.schema, null, 2)}</Text></Disclosure>
    </div>
  );
}

function Answer({ answer }: { answer: NonNullable<DryRunAnswer["answer"]> }) {
  const { visibility, observations = [], incidents = [], summary, safety_score } = answer;
  const facts: Fact[] = [];
  if (summary) facts.push(["Summary", summary]);
  if (visibility) facts.push(["Visibility", visibility]);
  if (safety_score !== undefined) facts.push(["Score", <Score key="score" value={safety_score} />]);
  return (
    <>
      <Facts rows={facts} />
      {observations.length > 0 && (
        <ul aria-label="Observations" className="space-y-0.5 text-xs text-quiet">
          {observations.map((one) => (
            <li key={one.id} className="flex gap-3">
              <span className="w-9 shrink-0 text-right">{position(one.t)}</span>
              <span className="min-w-0 wrap-anywhere">{one.text}</span>
            </li>
          ))}
        </ul>
      )}
      {incidents.length === 0 && <p className="text-quiet">No incident.</p>}
      <ul aria-label="Incidents of the try" className="space-y-2">
        {incidents.map((incident, n) => (
          <li key={n}>
            <span className="flex flex-wrap items-center gap-2">
              <SeverityBadge category={incident.category} severity={incident.severity} />
              <span className="text-xs text-quiet">
                {`${position(incident.t_start)} – ${position(incident.t_end)}, severity ${incident.severity} of 4, ${percent(incident.confidence)} confident`}
              </span>
            </span>
            <span className="mt-0.5 block text-xs wrap-anywhere">{seen(incident)}</span>
          </li>
        ))}
      </ul>
    </>
  );
}

const Disclosure = ({ title, children }: { title: string; children: ReactNode }) => (
  <details className="rounded-md border border-line bg-surface">
    <summary className="cursor-pointer px-3 py-1.5 text-xs font-medium">{title}</summary>
    <div className="border-t border-line">{children}</div>
  </details>
);

const Text = ({ children }: { children: string }) => (
  <pre className="max-h-64 overflow-auto p-3 text-xs whitespace-pre-wrap wrap-anywhere">{children}</pre>
);
