/** What a live player shows, in one word. Pure, so that it can be tested without a browser. */

/** `blocked`: the browser plays video only after a click. */
export type LiveStatus = "connecting" | "playing" | "waiting" | "paused" | "blocked";

export interface Facts {
  /** The viewer wants it to play. */
  wanted: boolean;
  /** The browser refused to. */
  blocked: boolean;
  /** There is a player now, and not only a time at which one is built again. */
  built: boolean;
  /** The video element has something to show next. */
  ready: boolean;
  /** The video element stands, whoever stopped it. */
  paused: boolean;
  hasPlayed: boolean;
}

export function liveStatus({ wanted, blocked, built, ready, paused, hasPlayed }: Facts): LiveStatus {
  if (!wanted) return "paused";
  if (blocked) return "blocked";
  if (built && ready) return paused ? "paused" : "playing";
  return hasPlayed ? "waiting" : "connecting";
}

/** Whether the one button of a player means play. An element without a stream is always paused: what is shown counts. */
export const meansPlay = (status: LiveStatus): boolean => status === "paused" || status === "blocked";
