/** Where things lie on a timeline, and what lies under a pointer. Pure. */
import type { Incident, Segment } from "../../api/cameras";
import { leadOf } from "../../lib/lead";

export interface Span {
  from: number;
  to: number;
}

/** A second of an archive. */
export interface Place {
  segment: Segment;
  second: number;
}

/** An incident and when it began, in ms. */
export interface Mark {
  segment: Segment;
  incident: Incident;
  moment: number;
}

/** Left edge and width in percent of what of [start, end] (ISO) is inside the span; null where nothing is. */
export function place(span: Span, start: string, end: string): { left: number; width: number } | null {
  const a = Math.max(Date.parse(start), span.from);
  const b = Math.min(Date.parse(end), span.to);
  if (b <= a) return null;
  const whole = span.to - span.from;
  return { left: (100 * (a - span.from)) / whole, width: (100 * (b - a)) / whole };
}

/** The archive that holds a moment, and the second within it; null in a gap. */
export function at(segments: Segment[], moment: number): Place | null {
  for (const segment of segments) {
    const start = Date.parse(segment.started_at);
    if (moment >= start && moment < Date.parse(segment.ended_at)) {
      return { segment, second: (moment - start) / 1000 };
    }
  }
  return null;
}

/** The archive that goes on where this one ends; null where nothing was recorded. */
export function following(segments: Segment[], segment: Segment): Segment | null {
  const end = Date.parse(segment.ended_at);
  const next = segments
    .filter((other) => Date.parse(other.started_at) > Date.parse(segment.started_at))
    .sort((a, b) => a.started_at.localeCompare(b.started_at))[0];
  return next && Date.parse(next.started_at) - end < 5000 ? next : null;
}

/** The moment of something inside an archive, as ISO. */
export const momentOf = (segment: Segment, second: number): string =>
  new Date(Date.parse(segment.started_at) + second * 1000).toISOString();

/** All incidents, newest first. */
export function marks(segments: Segment[]): Mark[] {
  return segments
    .flatMap((segment) =>
      segment.incidents.map((incident) => ({
        segment,
        incident,
        moment: Date.parse(segment.started_at) + incident.t_start * 1000,
      })),
    )
    .sort((a, b) => b.moment - a.moment);
}

/** Where an incident is played from: a little before it begins. */
export const leadTo = ({ segment, incident }: Mark): Place => ({ segment, second: leadOf(incident) });

/** The incident nearest to a moment, if one is near enough. */
export function nearest(all: Mark[], moment: number, withinMs: number): Mark | null {
  let best: Mark | null = null;
  let bestMs = withinMs;
  for (const mark of all) {
    const end = mark.moment + (mark.incident.t_end - mark.incident.t_start) * 1000;
    const awayMs = Math.max(mark.moment - moment, moment - end, 0);
    if (awayMs <= bestMs) {
      best = mark;
      bestMs = awayMs;
    }
  }
  return best;
}

/** The next incident after a moment (step 1), or the one before it (step -1). */
export function neighbour(all: Mark[], moment: number, step: 1 | -1): Mark | null {
  const beyond = all.filter((mark) => (mark.moment - moment) * step > 0);
  return (step === 1 ? beyond.at(-1) : beyond[0]) ?? null;
}

/** Round times for the axis: at most eight of them. */
export function ticks(span: Span): number[] {
  const minute = 60_000;
  const steps = [5, 10, 15, 30, 60, 120, 180, 240, 360].map((minutes) => minutes * minute);
  const step = steps.find((size) => (span.to - span.from) / size <= 8) ?? 720 * minute;
  const first = Math.ceil(span.from / step) * step;
  return Array.from({ length: Math.floor((span.to - first) / step) + 1 }, (_, n) => first + n * step);
}
