/** Where a live player should be. Pure, so that it can be tested without a browser. */

/** The contract's buffer: how far behind the newest picture a viewer is meant to be, in seconds. */
export const LIVE_SYNC_S = 3;
export const LIVE_MAX_LATENCY_S = 15;

/** More than this behind the sync position after a pause is worth a seek; less is left to play on. */
export const TOLERANCE_S = 1;

/** Where to seek to, or null when the player is at the edge already. */
export function seekTarget(currentS: number, syncPositionS: number | null | undefined): number | null {
  if (syncPositionS === null || syncPositionS === undefined || !Number.isFinite(syncPositionS)) return null;
  return syncPositionS - currentS > TOLERANCE_S || currentS - syncPositionS > LIVE_SYNC_S ? syncPositionS : null;
}

/** Delay before the player is built again after so many failures in a row, in milliseconds. */
export const rebuildDelay = (failures: number): number => Math.min(500 * 2 ** Math.max(0, failures - 1), 10_000);
