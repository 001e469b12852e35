/** Where things lie on a timeline. Pure. */
import type { Segment } from "../../api/cameras";

export interface Span {
  from: number;
  to: number;
}

/** Left edge and width in percent of what of [start, end] (ISO) is inside the span; null where nothing is. */
export function place(span: Span, start: string, end: string): { left: number; width: number } | null {
  const a = Math.max(Date.parse(start), span.from);
  const b = Math.min(Date.parse(end), span.to);
  if (b <= a) return null;
  const whole = span.to - span.from;
  return { left: (100 * (a - span.from)) / whole, width: (100 * (b - a)) / whole };
}

/** The segment that holds a moment, and the second within it; null in a gap. */
export function at(segments: Segment[], moment: number): { segment: Segment; second: number } | null {
  for (const segment of segments) {
    const start = Date.parse(segment.started_at);
    if (moment >= start && moment < Date.parse(segment.ended_at)) {
      return { segment, second: (moment - start) / 1000 };
    }
  }
  return null;
}

/** The moment of something inside a segment, as ISO. */
export const momentOf = (segment: Segment, second: number): string =>
  new Date(Date.parse(segment.started_at) + second * 1000).toISOString();

/** Round times for the axis: about six of them. */
export function ticks(span: Span): number[] {
  const minute = 60_000;
  const steps = [5, 10, 15, 30, 60, 120, 180, 240, 360].map((minutes) => minutes * minute);
  const step = steps.find((size) => (span.to - span.from) / size <= 8) ?? 720 * minute;
  const first = Math.ceil(span.from / step) * step;
  return Array.from({ length: Math.floor((span.to - first) / step) + 1 }, (_, n) => first + n * step);
}
