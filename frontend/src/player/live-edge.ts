/** Where a live player should be, and when it hangs. Pure, so that it can be tested without a browser. */

/** The contract's buffer: how far behind the newest picture a viewer is meant to be, in seconds. */
export const LIVE_SYNC_S = 3;
export const LIVE_MAX_LATENCY_S = 15;

/** More than this behind the sync position after a pause is worth a seek; less is left to play on. */
export const TOLERANCE_S = 1;

/** New pictures came for this long while none was shown: the player hangs. */
export const HUNG_AFTER_S = 8;

/** Where to seek to, or null when the player is at the edge already. */
export function seekTarget(currentS: number, syncPositionS: number | null | undefined): number | null {
  if (syncPositionS === null || syncPositionS === undefined || !Number.isFinite(syncPositionS)) return null;
  return syncPositionS - currentS > TOLERANCE_S || currentS - syncPositionS > LIVE_SYNC_S ? syncPositionS : null;
}

/** Delay before the player is built again after so many failures in a row, in milliseconds. */
export const rebuildDelay = (failures: number): number => Math.min(500 * 2 ** Math.max(0, failures - 1), 10_000);

/** What a player shows and what there is to show, at one look. */
export interface Look {
  positionS: number;
  edgeS: number;
}

/** The oldest look since which the position stands still. */
export interface Stand {
  since: Look;
}

/** Keep the stand while the position stands still; begin anew when it moves. */
export const watch = (stand: Stand | null, look: Look): Stand =>
  stand && stand.since.positionS === look.positionS ? stand : { since: look };

/** Whether the stream went on for long while the picture stood: a source that is off is no hang. */
export const isHung = (stand: Stand, look: Look): boolean => look.edgeS - stand.since.edgeS >= HUNG_AFTER_S;
