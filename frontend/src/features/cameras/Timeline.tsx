import { type KeyboardEvent, type MouseEvent, useState } from "react";

import type { Gap, Segment } from "../../api/cameras";
import { scoreTone, severityTone, type Tone, words } from "../../lib/format";
import { hourMinute, timeOfDay } from "../../lib/time";
import { at, momentOf, place, type Span, ticks } from "./timeline.model";

const FILL: Record<Tone, string> = {
  good: "bg-good/60",
  warn: "bg-warn/70",
  bad: "bg-bad/70",
  info: "bg-info",
  quiet: "bg-quiet/40",
};
const MARK: Record<Tone, string> = { good: "bg-good", warn: "bg-warn", bad: "bg-bad", info: "bg-info", quiet: "bg-quiet" };
const STEP_MS = 10_000;

interface Props {
  span: Span;
  segments: Segment[];
  gaps: Gap[];
  playing: number | null;
  onPick: (segment: Segment, second: number) => void;
}

/** Archives coloured by score, incidents as marks, gaps hatched; a click or Enter plays that second. */
export function Timeline({ span, segments, gaps, playing, onPick }: Props) {
  const [cursor, setCursor] = useState<number | null>(null);
  const where = cursor ?? playing;
  const pick = (moment: number) => {
    const found = at(segments, moment);
    if (found) onPick(found.segment, found.second);
  };
  const momentUnder = (event: MouseEvent<HTMLElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    return span.from + ((event.clientX - box.left) / box.width) * (span.to - span.from);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const moves: Record<string, number> = { ArrowLeft: -STEP_MS, ArrowRight: STEP_MS, PageUp: -60_000, PageDown: 60_000 };
    const move = moves[event.key];
    if (move !== undefined) {
      event.preventDefault();
      setCursor(Math.min(span.to, Math.max(span.from, (where ?? span.to) + move)));
    } else if (event.key === "Enter" && where !== null) pick(where);
  };
  const percentOf = (moment: number) => (100 * (moment - span.from)) / (span.to - span.from);
  return (
    <div>
      <div
        role="slider"
        tabIndex={0}
        aria-label="Timeline: arrow keys move, Enter plays the archive there"
        aria-valuemin={span.from}
        aria-valuemax={span.to}
        aria-valuenow={Math.round(where ?? span.to)}
        aria-valuetext={timeOfDay(new Date(where ?? span.to))}
        onClick={(event) => pick(momentUnder(event))}
        onMouseMove={(event) => setCursor(momentUnder(event))}
        onMouseLeave={() => setCursor(null)}
        onKeyDown={onKeyDown}
        className="relative h-16 cursor-pointer overflow-hidden rounded-lg border border-line bg-raised"
      >
        {gaps.map((gap) => {
          const box = place(span, gap.started_at, gap.ended_at);
          return box && <i key={gap.started_at} title={`nothing recorded for ${Math.round(gap.seconds)} s`}
            className="hatched absolute inset-y-0" style={{ left: `${box.left}%`, width: `${box.width}%` }} />;
        })}
        {segments.map((segment) => {
          const box = place(span, segment.started_at, segment.ended_at);
          const score = segment.safety_score;
          return box && <i key={segment.started_at}
            title={`${timeOfDay(segment.started_at)} · ${segment.state === "recording" ? "being recorded" : `score ${score ?? "not yet known"}`}`}
            className={`absolute top-7 bottom-2 rounded-sm border-r border-surface ${segment.state === "recording" ? "bg-accent/50" : FILL[scoreTone(score)]}`}
            style={{ left: `${box.left}%`, width: `${box.width}%` }} />;
        })}
        {segments.flatMap((segment) =>
          segment.incidents.map((incident, n) => {
            const box = place(span, momentOf(segment, incident.t_start), momentOf(segment, incident.t_end + 0.5));
            return box && <i key={`${segment.started_at} ${n}`} title={`${words(incident.category)}, severity ${incident.severity}`}
              className={`absolute top-2 h-4 min-w-1.5 rounded-full ${MARK[severityTone(incident.severity)]}`}
              style={{ left: `${box.left}%`, width: `${box.width}%` }} />;
          }),
        )}
        {where !== null && <i className="pointer-events-none absolute inset-y-0 w-px bg-ink" style={{ left: `${percentOf(where)}%` }} />}
        {cursor !== null && (
          <span className="pointer-events-none absolute bottom-0 rounded bg-ink px-1 text-[11px] text-ground"
            style={percentOf(cursor) > 50 ? { right: `${100 - percentOf(cursor)}%` } : { left: `${percentOf(cursor)}%` }}>
            {timeOfDay(new Date(cursor))}
          </span>
        )}
      </div>
      <div aria-hidden className="relative mt-1 h-4 text-[11px] text-quiet">
        {ticks(span).map((moment) => (
          <span key={moment} className="absolute -translate-x-1/2" style={{ left: `${percentOf(moment)}%` }}>
            {hourMinute(new Date(moment))}
          </span>
        ))}
      </div>
    </div>
  );
}
