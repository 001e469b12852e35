import { backendName } from "../../components/backends.model";
import { Card } from "../../components/Card";
import { type Fact, Facts } from "../../components/Facts";
import { waited } from "../../components/trials.model";
import { thousands, title, usd, words } from "../../lib/format";
import { flat, type SceneResult } from "./job.model";

/** What of the archive was looked at, and what was seen in it. */
export function Coverage({ result }: { result: SceneResult }) {
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

/** Who looked at it and with what. */
export function Method({ result }: { result: SceneResult }) {
  const { analyser, version, timings = {}, settings } = result;
  if (!analyser) return null;
  const rows: Fact[] = [
    ["Analyser", `${analyser}${version ? `, version ${version}` : ""}`],
    ...asked(result),
    ...detected(result),
    ...Object.entries(timings).map(([name, seconds]): Fact => [title(name.replace(/_s$/, "")), `${seconds.toFixed(2)} s`]),
  ];
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
                <dd className="min-w-0 wrap-anywhere">{value}</dd>
              </div>
            ))}
          </dl>
        </details>
      )}
    </Card>
  );
}

/** The model that was asked, if one was. */
function asked({ backend, model, model_version, prompt_version, usage }: SceneResult): Fact[] {
  if (backend === undefined || !model) return [];
  const rows: Fact[] = [["Backend", backendName(backend)], ["Model", model]];
  if (model_version && model_version !== model) rows.push(["Answered as", model_version]);
  if (prompt_version) rows.push(["Prompt", `version ${prompt_version}`]);
  if (usage) {
    rows.push(["Calls", `${usage.calls}, ${waited(usage.latency_ms)}`]);
    rows.push(["Tokens", `${thousands(usage.input_tokens)} in, ${thousands(usage.output_tokens)} out`]);
    rows.push(["Cost", usd(usage.cost_usd)]);
  }
  return rows;
}

function detected({ detector, detector_missing }: SceneResult): Fact[] {
  if (detector === undefined) return []; // a result of an earlier version
  if (!detector) return [["Detector", detector_missing ?? "none: only motion was judged"]];
  return [["Detector", `${detector.name}, ${detector.input_width} × ${detector.input_height}`], ["Runs on", `${detector.runtime}, ${detector.device}`]];
}
