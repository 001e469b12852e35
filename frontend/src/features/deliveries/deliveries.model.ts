/** Callbacks as the page shows them, and what the list's address says. Pure. */
import type { Callback, CallbackState } from "../../api/callbacks";
import { CALLBACK_STATES } from "../../components/StateBadge";
import { asNumber, asOneOf, asText } from "../../lib/search";
import { duration } from "../../lib/time";

export interface DeliverySearch {
  state?: CallbackState | undefined;
  job_id?: number | undefined;
  cursor?: string | undefined;
}

export const readSearch = (search: Record<string, unknown>): DeliverySearch => ({
  state: asOneOf(CALLBACK_STATES, search.state),
  job_id: asNumber(search.job_id),
  cursor: asText(search.cursor),
});

const CAN_REDELIVER: Record<CallbackState, boolean> = { pending: false, delivered: true, superseded: false, dead: true };

export const canRedeliver = ({ state }: Pick<Callback, "state">): boolean => CAN_REDELIVER[state];

/** "progress 40 %", "result" */
export const whatOf = ({ kind, progress }: Pick<Callback, "kind" | "progress">): string =>
  progress === null ? kind : `${kind} ${progress} %`;

/** When it is tried next, from now: "now", "in 12 s"; null where it is not. */
export function nextTry({ next_at }: Pick<Callback, "next_at">, now: number): string | null {
  if (next_at === null) return null;
  const seconds = (Date.parse(next_at) - now) / 1000;
  return seconds < 1 ? "now" : `in ${duration(seconds)}`;
}

/** A body to read: JSON with its lines, and anything else, such as one that is cut, as it is. */
export function readable(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}
