import { type KeyboardEvent, memo, type MouseEvent, useMemo, useState } from "react";

import type { Gap, Segment } from "../../api/cameras";
import { FILL, MARK } from "../../components/tones";
import { count, scoreTone, severityTone, title } from "../../lib/format";
import { duration, hourMinute, timeOfDay } from "../../lib/time";
import { at, leadTo, type Mark, marks, momentOf, nearest, neighbour, type Place, place, type Span, ticks } from "./timeline.model";

const RECORDING = "bg-accent/50";
const LEGEND: [string, string][] = [
  ["score 85 and up", FILL.good],
  ["60 to 84", FILL.warn],
  ["below 60", FILL.bad],
  ["no score", FILL.quiet],
  ["being recorded", RECORDING],
  ["not recorded", "hatched border border-line"],
];
const STEPS = 240;
const NEAR_PX = 6;
/** Archives wider than this, in percent, are set apart; a line between narrower ones would hide them. */
const SEPARATE_FROM = 0.6;

interface Props {
  span: Span;
  segments: Segment[];
  gaps: Gap[];
  /** The moment that is played, in ms; null while live. */
  playing: number | null;
  onPick: (place: Place) => void;
}

/** Archives coloured by score, incidents as marks, gaps hatched; a click or Enter plays that second. */
export function Timeline({ span, segments, gaps, playing, onPick }: Props) {
  const [cursor, setCursor] = useState<number | null>(null);
  const incidents = useMemo(() => marks(segments), [segments]);
  const whole = span.to - span.from;
  const where = cursor ?? playing ?? span.to;
  const percentOf = (moment: number) => (100 * (moment - span.from)) / whole;
  const pick = (moment: number, withinMs: number) => {
    const mark = nearest(incidents, moment, withinMs);
    const found = mark ? leadTo(mark) : at(segments, moment);
    if (found) onPick(found);
  };
  const under = (event: MouseEvent<HTMLElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    const isMarkLane = event.clientY - box.top < box.height * 0.4;
    return {
      moment: span.from + ((event.clientX - box.left) / box.width) * whole,
      withinMs: isMarkLane ? (NEAR_PX / box.width) * whole : -1,
    };
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const step = event.shiftKey ? 1000 : whole / STEPS;
    const targets: Record<string, () => number | undefined> = {
      ArrowLeft: () => where - step,
      ArrowRight: () => where + step,
      Home: () => span.from,
      End: () => span.to,
      PageUp: () => neighbour(incidents, where, -1)?.moment,
      PageDown: () => neighbour(incidents, where, 1)?.moment,
    };
    const target = targets[event.key];
    if (target) {
      event.preventDefault();
      const moment = target();
      if (moment !== undefined) setCursor(Math.min(span.to, Math.max(span.from, moment)));
    } else if (event.key === "Enter") pick(where, 0);
    else if (event.key === "Escape") setCursor(null);
  };
  return (
    <div>
      <div role="slider" tabIndex={0} aria-label="Timeline. Arrow keys move, Page Up and Page Down go to incidents, Enter plays."
        aria-valuemin={span.from} aria-valuemax={span.to} aria-valuenow={Math.round(where)}
        aria-valuetext={`${timeOfDay(new Date(where))}, ${describe(segments, gaps, incidents, where)}`}
        onClick={(event) => {
          const { moment, withinMs } = under(event);
          pick(moment, withinMs);
        }}
        onMouseMove={(event) => setCursor(under(event).moment)}
        onMouseLeave={() => setCursor(null)}
        onBlur={() => setCursor(null)}
        onKeyDown={onKeyDown}
        className="relative h-16 cursor-pointer rounded-md bg-raised">
        <Blocks span={span} segments={segments} gaps={gaps} incidents={incidents} />
        {playing !== null && playing >= span.from && (
          <i aria-hidden className="pointer-events-none absolute -inset-y-1 w-0.5 -translate-x-1/2 rounded bg-accent" style={{ left: `${percentOf(playing)}%` }} />
        )}
        {cursor !== null && (
          <>
            <i aria-hidden className="pointer-events-none absolute inset-y-0 w-px bg-ink" style={{ left: `${percentOf(cursor)}%` }} />
            <span aria-hidden className="pointer-events-none absolute bottom-full z-10 mb-1 rounded-md bg-ink px-2 py-1 text-xs whitespace-nowrap text-ground"
              style={percentOf(cursor) > 50 ? { right: `${100 - percentOf(cursor)}%` } : { left: `${percentOf(cursor)}%` }}>
              <b className="font-semibold">{timeOfDay(new Date(cursor))}</b>
              {` · ${describe(segments, gaps, incidents, cursor)}`}
            </span>
          </>
        )}
      </div>
      <div aria-hidden className="relative mt-1 h-4 text-[11px] text-quiet">
        {ticks(span).filter((moment) => percentOf(moment) > 2 && percentOf(moment) < 98).map((moment) => (
          <span key={moment} className="absolute -translate-x-1/2" style={{ left: `${percentOf(moment)}%` }}>
            {hourMinute(new Date(moment))}
          </span>
        ))}
      </div>
      <ul aria-label="Colours" className="mt-2 flex flex-wrap gap-x-4 gap-y-1 text-[11px] text-quiet">
        {LEGEND.map(([name, look]) => (
          <li key={name} className="flex items-center gap-1.5">
            <i aria-hidden className={`size-2.5 rounded-xs ${look}`} />
            {name}
          </li>
        ))}
      </ul>
    </div>
  );
}

interface BlocksProps {
  span: Span;
  segments: Segment[];
  gaps: Gap[];
  incidents: Mark[];
}

/** What does not move with the pointer, so that a day of short archives is not drawn again for each pixel. */
const Blocks = memo(function Blocks({ span, segments, gaps, incidents }: BlocksProps) {
  return (
    <div aria-hidden className="absolute inset-0 overflow-hidden rounded-md">
      {gaps.map((gap) => {
        const box = place(span, gap.started_at, gap.ended_at);
        return box && <i key={gap.started_at} className="hatched absolute inset-y-0" style={{ left: `${box.left}%`, width: `${box.width}%` }} />;
      })}
      {worstLast(segments).map((segment) => {
        const box = place(span, segment.started_at, segment.ended_at);
        const fill = segment.state === "recording" ? RECORDING : FILL[scoreTone(segment.safety_score)];
        return box && (
          <i key={segment.started_at} className={`absolute top-[45%] bottom-0 min-w-px ${box.width > SEPARATE_FROM ? "border-r border-surface" : ""} ${fill}`}
            style={{ left: `${box.left}%`, width: `${box.width}%` }} />
        );
      })}
      {mildFirst(incidents).map((mark) => {
        const { segment, incident } = mark;
        const box = place(span, momentOf(segment, incident.t_start), momentOf(segment, incident.t_end + 0.5));
        return box && (
          <i key={incident.id} className={`absolute top-[12%] h-[22%] min-w-1 rounded-full ${incident.state === "rejected" ? `${MARK.quiet} opacity-50` : MARK[severityTone(incident.severity)]}`}
            style={{ left: `${box.left}%`, width: `${box.width}%` }} />
        );
      })}
    </div>
  );
});

/** Where a day is narrow, the worst lies on top. */
const worstLast = (segments: Segment[]): Segment[] =>
  [...segments].sort((a, b) => (b.safety_score ?? 101) - (a.safety_score ?? 101));
/** What a person has rejected lies below everything. */
const weight = ({ incident }: Mark): number => (incident.state === "rejected" ? -1 : incident.severity);
const mildFirst = (incidents: Mark[]): Mark[] => [...incidents].sort((a, b) => weight(a) - weight(b));

/** What is at a moment, in words. */
function describe(segments: Segment[], gaps: Gap[], incidents: Mark[], moment: number): string {
  const mark = nearest(incidents, moment, 0);
  if (mark) return `${title(mark.incident.category)}, severity ${mark.incident.severity}${mark.incident.state === "rejected" ? ", rejected" : ""}`;
  const found = at(segments, moment)?.segment;
  if (found?.state === "recording") return "being recorded";
  if (found) {
    return found.safety_score === null ? "no score" : `score ${found.safety_score}, ${count(found.incident_count ?? 0, "incident")}`;
  }
  const gap = gaps.find((one) => moment >= Date.parse(one.started_at) && moment < Date.parse(one.ended_at));
  return gap ? `not recorded for ${duration(gap.seconds)}` : "no archive";
}
