/** What the address of the day's page says, and a day in a sentence. Pure. */
import type { DayEntry, DayFilter } from "../../api/scene";
import { count } from "../../lib/format";
import { asText } from "../../lib/search";
import { asDay } from "../../lib/zone";

export const readSearch = (search: Record<string, unknown>): DayFilter => ({
  day: asDay(search.day),
  camera_id: asText(search.camera_id),
  text: asText(search.text),
});

/** How many archives, and what was found in them. */
export function inShort(entries: Pick<DayEntry, "incident_count" | "safety_score">[]): string {
  if (entries.length === 0) return "";
  const incidents = entries.reduce((sum, entry) => sum + entry.incident_count, 0);
  const least = Math.min(...entries.map((entry) => entry.safety_score));
  return `${count(entries.length, "archive")}, ${count(incidents, "incident")}, lowest score ${least}`;
}
