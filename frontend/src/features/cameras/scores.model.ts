/** Where scores lie on their chart. Pure. */
import type { ScorePoint, ScoreStep } from "../../api/scene";
import { count } from "../../lib/format";
import { dayIn, daysBetween, hourIn, shortDayIn } from "../../lib/zone";

/** How many hours and days are shown. */
export const SLOTS: Record<ScoreStep, number> = { hour: 24, day: 30 };
const HOUR_MS = 3_600_000;

export interface Slot {
  /** From the left, the last one is now. */
  index: number;
  point: ScorePoint;
}

/** The place of each point, oldest first; what is older than the chart is left out. */
export function slots(points: ScorePoint[], by: ScoreStep, zone: string, now: number): Slot[] {
  const ago = (moment: number) =>
    by === "hour" ? Math.floor((now - moment) / HOUR_MS) : daysBetween(dayIn(zone, moment), dayIn(zone, now));
  return points
    .map((point) => ({ point, index: SLOTS[by] - 1 - ago(Date.parse(point.starts_at)) }))
    .filter(({ index }) => index >= 0 && index < SLOTS[by]);
}

/** An hour or a day as the axis names it. */
export const nameOf = (iso: string, by: ScoreStep, zone: string): string => (by === "hour" ? hourIn(zone, iso) : shortDayIn(zone, iso));

/** When the slot so many hours or days before now began, roughly: for the axis. */
export const momentOf = (index: number, by: ScoreStep, now: number): string => {
  const step = by === "hour" ? HOUR_MS : 24 * HOUR_MS;
  const moment = now - (SLOTS[by] - 1 - index) * step;
  return new Date(by === "hour" ? moment - (moment % HOUR_MS) : moment).toISOString();
};

/** A point in words. */
export const inWords = (point: ScorePoint, by: ScoreStep, zone: string): string =>
  `${nameOf(point.starts_at, by, zone)}: mean ${Math.round(point.mean)}, lowest ${point.least}, ${count(point.incidents, "incident")} in ${count(point.archives, "archive")}`;

/** All that is shown in a sentence; null where nothing is. */
export function inShort(shown: Slot[]): string | null {
  if (shown.length === 0) return null;
  const archives = shown.reduce((sum, { point }) => sum + point.archives, 0);
  const mean = shown.reduce((sum, { point }) => sum + point.mean * point.archives, 0) / archives;
  const least = Math.min(...shown.map(({ point }) => point.least));
  const incidents = shown.reduce((sum, { point }) => sum + point.incidents, 0);
  return `mean ${Math.round(mean)}, lowest ${least}, ${count(incidents, "incident")}`;
}
