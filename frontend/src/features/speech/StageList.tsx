import type { SpeechJob } from "../../api/speech";
import { Icon } from "../../components/ui/Icon";
import { type StageProgress, type StageState, stagesAt } from "./stages.model";

const SIGN: Record<StageState, string> = {
  done: "border-good/40 bg-good/10 text-good",
  now: "border-accent text-accent",
  stopped: "border-bad/40 bg-bad/10 text-bad",
  waiting: "border-line text-quiet",
};
const SAID: Record<StageState, string> = { done: "done", now: "under way", stopped: "stopped here", waiting: "" };

/** The stages of a job, and how far it is in the one that it is in. */
export function StageList({ job }: { job: Pick<SpeechJob, "status" | "progress"> }) {
  return (
    <ol aria-label="Stages" className="space-y-3">
      {stagesAt(job).map((stage, n) => <Stage key={stage.label} stage={stage} number={n + 1} />)}
    </ol>
  );
}

function Stage({ stage: { label, state, percent }, number }: { stage: StageProgress; number: number }) {
  return (
    <li aria-current={state === "now" ? "step" : undefined} className="flex items-start gap-3 text-sm">
      <span aria-hidden className={`grid size-6 shrink-0 place-items-center rounded-full border text-xs ${SIGN[state]}`}>
        {state === "done" ? <Icon name="check" className="size-3.5" /> : state === "stopped" ? <Icon name="close" className="size-3.5" /> : number}
      </span>
      <div className="min-w-0 flex-1 pt-0.5">
        <p className="flex justify-between gap-3">
          <span className={state === "waiting" ? "text-quiet" : state === "now" ? "font-medium" : ""}>{label}</span>
          <span className="text-xs text-quiet">{state === "now" ? `${percent} %` : SAID[state]}</span>
        </p>
        {state === "now" && (
          <div role="progressbar" aria-label={label} aria-valuenow={percent} aria-valuemin={0} aria-valuemax={100} className="mt-1.5 h-1.5 overflow-hidden rounded-full bg-line">
            <div className="h-full rounded-full bg-accent transition-[width] duration-300" style={{ width: `${percent}%` }} />
          </div>
        )}
      </div>
    </li>
  );
}
