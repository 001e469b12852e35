import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import type { Camera } from "../../api/cameras";
import { CATEGORIES } from "../../api/incidents";
import { type Backend, backendsQuery, type DryRun, dryRun } from "../../api/scene";
import { awayAfter, BACKEND_NAMES, BACKENDS, defaultBackend, whereTo } from "../../components/backends.model";
import { DryRunResult } from "../../components/DryRunResult";
import type { DryRunAnswer } from "../../components/trials.model";
import { TrialState } from "../../components/TrialState";
import { Button } from "../../components/ui/Button";
import { Field, INPUT } from "../../components/ui/Field";
import { useTrial } from "../../components/useTrial";
import { title } from "../../lib/format";
import { readForm, tryOf } from "./camera-form.model";

/** Who understands the archives, what it is told of the place, and what it may cost. */
export function SceneFields({ camera }: { camera: Camera | undefined }) {
  const backends = useQuery(backendsQuery).data?.items ?? [];
  return (
    <details className="rounded-md border border-line" open={camera !== undefined}>
      <summary className="cursor-pointer px-3 py-2 text-sm font-medium">Scene analysis</summary>
      <div className="space-y-4 border-t border-line p-3">
        <Field label="House rules" hint="What is right and wrong here: a model reads it with every archive.">
          <textarea name="house_rules" rows={3} maxLength={5000} defaultValue={camera?.house_rules} className={INPUT}
            placeholder="Nobody may be in the loading bay while a lorry moves." />
        </Field>
        <fieldset className="space-y-1.5">
          <legend className="text-sm font-medium">Categories of interest</legend>
          <div className="grid grid-cols-2 gap-x-3 gap-y-1 sm:grid-cols-3">
            {CATEGORIES.map((category) => (
              <label key={category} className="flex items-center gap-2 text-sm">
                <input type="checkbox" name="categories" value={category} defaultChecked={camera?.categories?.includes(category)} className="accent-(--accent)" />
                {title(category)}
              </label>
            ))}
          </div>
          <p className="text-xs text-quiet">None ticked: all of them.</p>
        </fieldset>
        <div className="grid gap-4 sm:grid-cols-[minmax(0,1fr)_11rem]">
          <Analyser camera={camera} backends={backends} />
          <Field label="Budget per day, US$" hint="Empty: as the server is set.">
            <input name="daily_budget_usd" type="number" min={0} max={10_000} step="any" defaultValue={camera?.daily_budget_usd ?? ""} className={INPUT} />
          </Field>
        </div>
        {camera && <Try camera={camera} backends={backends} />}
      </div>
    </details>
  );
}

/** The analyser, and below it where footage goes for it. */
function Analyser({ camera, backends }: { camera: Camera | undefined; backends: Backend[] }) {
  const [chosen, setChosen] = useState(camera?.scene_backend ?? "");
  const usual = defaultBackend(backends);
  const backend = chosen === "" ? usual : backends.find((one) => one.name === chosen);
  return (
    <Field label="Analyser" hint={backend ? explain(backend, backends) : "…"}>
      <select name="scene_backend" value={chosen} onChange={(event) => setChosen(event.target.value)} className={INPUT}>
        <option value="">{usual ? `Default (${BACKEND_NAMES[usual.name]})` : "Default"}</option>
        {BACKENDS.map((name) => <option key={name} value={name}>{BACKEND_NAMES[name]}</option>)}
      </select>
    </Field>
  );
}

function explain(backend: Backend, backends: Backend[]): string {
  const away = awayAfter(backend, backends).map((other) => `, and when that cannot answer, ${whereTo(other)}`);
  const where = `${whereTo(backend)}${away.join("")}`.replace(/^./, (first) => first.toUpperCase());
  return backend.missing === null ? `${where}.` : `${where}. Not set up yet: ${backend.missing}.`;
}

/** Asks with what stands in the form about the last archive. */
function Try({ camera, backends }: { camera: Camera; backends: Backend[] }) {
  const trial = useTrial((body: DryRun) => dryRun(camera.id, body));
  return (
    <div className="space-y-3 border-t border-line pt-4">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
        <Button disabled={trial.isRunning}
          onClick={(event) => {
            const form = event.currentTarget.form;
            if (form) trial.run(tryOf(readForm(new FormData(form)), defaultBackend(backends)?.name ?? null));
          }}>
          {trial.isRunning ? "Trying…" : "Try on the last archive"}
        </Button>
        <span className="text-xs text-quiet">With what stands here now; nothing is saved. It may cost what one answer costs.</span>
      </div>
      <TrialState {...trial}>{(result) => <DryRunResult result={result as DryRunAnswer} />}</TrialState>
    </div>
  );
}
