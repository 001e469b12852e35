/** Times as people read them: in the browser's zone, on a clock of 24 hours; UTC is for the tooltip. */

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const minute = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const shortDay = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
const day = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric" });

export const timeOfDay = (iso: string | Date): string => clock.format(new Date(iso));
export const hourMinute = (iso: string | Date): string => minute.format(new Date(iso));
export const dateAndTime = (iso: string | Date): string => `${day.format(new Date(iso))}, ${timeOfDay(iso)}`;

/** The time of day, with the day before it unless that is today's. */
export function timeOrDay(iso: string, now: number): string {
  const then = new Date(iso);
  return then.toDateString() === new Date(now).toDateString() ? timeOfDay(then) : `${shortDay.format(then)}, ${timeOfDay(then)}`;
}

export const utc = (iso: string): string => `${new Date(iso).toISOString().replace("T", " ").slice(0, 19)} UTC`;

/** How long ago, coarse: "12 s", "5 min", "3 h", "2 d". */
export function ago(iso: string, now: number): string {
  return duration(Math.max(0, (now - Date.parse(iso)) / 1000));
}

export function duration(seconds: number): string {
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 6000) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** A position in a video: 75 -> "1:15". */
export function position(seconds: number): string {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
