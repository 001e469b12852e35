/** Times and days of the site's zone, wherever the reader is. Days are "2026-01-31". Pure. */

const DAY_MS = 86_400_000;
const kept = new Map<string, Intl.DateTimeFormat>();

/** Formats are slow to make, so each is made once. */
function format(zone: string, options: Intl.DateTimeFormatOptions, locale?: string): Intl.DateTimeFormat {
  const key = JSON.stringify([zone, options, locale]);
  const made = kept.get(key) ?? new Intl.DateTimeFormat(locale, { ...options, timeZone: zone });
  kept.set(key, made);
  return made;
}

const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" } as const;
const PARTS = { year: "numeric", month: "2-digit", day: "2-digit", ...CLOCK } as const;
const SHORT_DAY = { month: "short", day: "numeric" } as const;
const LONG_DAY = { weekday: "long", year: "numeric", month: "long", day: "numeric" } as const;

export const timeIn = (zone: string, iso: string): string => format(zone, CLOCK).format(new Date(iso));
export const hourIn = (zone: string, iso: string): string =>
  format(zone, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(new Date(iso));
export const shortDayIn = (zone: string, iso: string): string => format(zone, SHORT_DAY).format(new Date(iso));
export const dateTimeIn = (zone: string, iso: string): string => `${shortDayIn(zone, iso)}, ${timeIn(zone, iso)}`;

/** The clock of a zone as if it were UTC's, ms. */
function clockMs(zone: string, moment: number): number {
  const parts = format(zone, PARTS, "en-GB").formatToParts(new Date(moment));
  const part = (type: string) => Number(parts.find((one) => one.type === type)?.value ?? 0);
  return Date.UTC(part("year"), part("month") - 1, part("day"), part("hour"), part("minute"), part("second"));
}

/** The day that it is at a moment. */
export const dayIn = (zone: string, moment: number): string => new Date(clockMs(zone, moment)).toISOString().slice(0, 10);

/** When a day begins, as ISO; where its midnight is skipped, the clock's next second. */
export function midnight(zone: string, day: string): string {
  const wanted = Date.parse(`${day}T00:00:00Z`);
  let found = wanted;
  for (let again = 0; again < 2; again += 1) found += wanted - clockMs(zone, found);
  // west of Greenwich a skipped midnight is met from before, east of it from after
  return new Date(found + Math.max(0, wanted - clockMs(zone, found))).toISOString();
}

export const addDays = (day: string, days: number): string =>
  new Date(Date.parse(`${day}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10);

/** How many days one day lies before another. */
export const daysBetween = (from: string, to: string): number => (Date.parse(to) - Date.parse(from)) / DAY_MS;

/** "2026-01-31" -> "Saturday, January 31, 2026", and "Jan 31". */
export const dayTitle = (day: string): string => format("UTC", LONG_DAY).format(new Date(day));
export const shortDay = (day: string): string => shortDayIn("UTC", day);

/** What a URL or a field says, if it is a day. */
export const asDay = (value: unknown): string | undefined =>
  typeof value === "string" && /^\d{4}-\d\d-\d\d$/.test(value) && !Number.isNaN(Date.parse(value)) ? value : undefined;
