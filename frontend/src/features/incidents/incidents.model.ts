/** What the list of incidents does with keys, verdicts and what its address says. Pure. */
import { CATEGORIES, type Incident, type IncidentCategory, type IncidentFilter, type IncidentPage, type IncidentState, type Precision } from "../../api/incidents";
import { INCIDENT_STATES } from "../../components/StateBadge";
import { asNumber, asOneOf, asText } from "../../lib/search";
import { addDays, asDay, midnight } from "../../lib/zone";

/** The filters and the opened incident, as they stand in the address; days are the site's. */
export interface IncidentSearch {
  camera_id?: string | undefined;
  category?: IncidentCategory | undefined;
  severity?: number | undefined;
  state?: IncidentState | undefined;
  since?: string | undefined;
  until?: string | undefined;
  text?: string | undefined;
  cursor?: string | undefined;
  incident?: number | undefined;
}

const MOST_SEVERE = 4;

export function readSearch(search: Record<string, unknown>): IncidentSearch {
  const severity = asNumber(search.severity);
  return {
    camera_id: asText(search.camera_id),
    category: asOneOf(CATEGORIES, search.category),
    severity: severity === undefined || severity > MOST_SEVERE ? undefined : severity,
    state: asOneOf(INCIDENT_STATES, search.state),
    since: asDay(search.since),
    until: asDay(search.until),
    text: asText(search.text),
    cursor: asText(search.cursor),
    incident: asNumber(search.incident),
  };
}

/** What the API is asked; the last day is meant with all its hours. */
export function filterOf({ camera_id, category, severity, state, since, until, text, cursor }: IncidentSearch, zone: string): IncidentFilter {
  return {
    camera_id, category, severity, state, text, cursor,
    since: since && midnight(zone, since),
    until: until && midnight(zone, addDays(until, 1)),
  };
}

/** Whether anything is filtered. */
export const isFiltered = ({ camera_id, category, severity, state, since, until, text }: IncidentSearch): boolean =>
  [camera_id, category, severity, state, since, until, text].some((value) => value !== undefined);

export type Action = IncidentState | "next" | "previous";

const ACTIONS: Record<string, Action> = {
  j: "next",
  ArrowDown: "next",
  k: "previous",
  ArrowUp: "previous",
  c: "confirmed",
  r: "rejected",
  u: "open",
};

/** What a verdict is called on its button, and its key. */
export const VERDICTS: Record<IncidentState, { key: string; label: string }> = {
  confirmed: { key: "c", label: "Confirm" },
  rejected: { key: "r", label: "Reject" },
  open: { key: "u", label: "Take back" },
};

/** What a key means; null for one that is somebody else's. */
export function actionOf({ key, ctrlKey, metaKey, altKey }: Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey">): Action | null {
  return ctrlKey || metaKey || altKey ? null : (ACTIONS[key] ?? null);
}

/**
 * The incident that the next or previous one is. One that a verdict has taken out of the list is still where
 * it was: `lastIndex` is its place, and what moved up into it comes next.
 */
export function stepFrom(items: Pick<Incident, "id">[], selected: number | undefined, lastIndex: number, step: "next" | "previous"): number | undefined {
  const index = items.findIndex((incident) => incident.id === selected);
  if (selected === undefined) return items[0]?.id;
  const from = index === -1 ? (step === "next" ? lastIndex - 1 : lastIndex) : index;
  const to = Math.min(items.length - 1, Math.max(0, from + (step === "next" ? 1 : -1)));
  return items[to]?.id;
}

/** A page with an incident's state as a person has just put it. */
export const withState = (page: IncidentPage, id: number, state: IncidentState): IncidentPage => ({
  ...page,
  items: page.items.map((incident) => (incident.id === id ? { ...incident, state } : incident)),
});

/** All cameras and categories together; null where nothing is counted. */
export function total(rows: Precision[]): Pick<Precision, "confirmed" | "rejected" | "open" | "precision"> | null {
  if (rows.length < 2) return null;
  const sum = (name: "confirmed" | "rejected" | "open") => rows.reduce((all, row) => all + row[name], 0);
  const [confirmed, rejected] = [sum("confirmed"), sum("rejected")];
  return { confirmed, rejected, open: sum("open"), precision: confirmed + rejected === 0 ? null : confirmed / (confirmed + rejected) };
}
