import { Card } from "../../components/Card";
import { FILL } from "../../components/tones";
import { Badge } from "../../components/ui/Badge";
import { count } from "../../lib/format";
import { position } from "../../lib/time";
import { type SceneResult, type SceneWindow, WINDOW_STATES } from "./job.model";

const MERGED: Record<string, string | undefined> = { model: "put together by the model", code: "put together by rules", none: "not put together" };

interface Props {
  windows: SceneWindow[];
  merge: SceneResult["merge"];
  onPlay: ((second: number) => void) | null;
}

/** What became of each stretch that a model is asked about. */
export function JobWindows({ windows, merge, onPlay }: Props) {
  const whole = windows.at(-1)?.t_end ?? 0;
  return (
    <Card title={`Windows (${windows.length})`} flush
      beside={merge && <span className="text-xs text-quiet">{[MERGED[merge.by] ?? merge.by, merge.reason].filter(Boolean).join(": ")}</span>}>
      <div aria-hidden className="flex h-2 gap-px px-4 pt-3 box-content">
        {windows.map((one) => (
          <i key={one.index} className={`h-2 min-w-0.5 rounded-xs ${FILL[WINDOW_STATES[one.state].tone]}`} style={{ width: `${(100 * (one.t_end - one.t_start)) / whole}%` }} />
        ))}
      </div>
      <ul className="max-h-96 divide-y divide-line overflow-y-auto pt-2 pb-1">
        {windows.map((one) => <One key={one.index} window={one} onPlay={onPlay} />)}
      </ul>
    </Card>
  );
}

function One({ window, onPlay }: { window: SceneWindow; onPlay: Props["onPlay"] }) {
  const { tone, label } = WINDOW_STATES[window.state];
  const from = position(window.t_start);
  const said = window.summary ?? window.reason;
  return (
    <li className="grid grid-cols-[6.5rem_minmax(0,1fr)] items-baseline gap-x-3 px-4 py-2 text-sm">
      <button type="button" disabled={!onPlay} onClick={() => onPlay?.(window.t_start)} aria-label={`Play window ${window.index + 1} from ${from}`}
        className="text-left whitespace-nowrap text-accent hover:underline disabled:text-quiet disabled:no-underline">
        {`${from} – ${position(window.t_end)}`}
      </button>
      <div className="min-w-0">
        <span className="flex flex-wrap items-center gap-2 text-xs text-quiet">
          <Badge tone={tone}>{label}</Badge>
          {window.visibility && <span>{`visibility ${window.visibility}`}</span>}
          {window.asked !== 1 && <span>{window.asked === 0 ? "not asked" : `asked ${count(window.asked, "time")}`}</span>}
        </span>
        {said && <p className="mt-1 wrap-anywhere">{said}</p>}
      </div>
    </li>
  );
}
