/** Backends and costs as the page shows them. Pure. */
import type { Camera } from "../../api/cameras";
import type { Backend, Costs } from "../../api/scene";
import { usd } from "../../lib/format";
import { addDays } from "../../lib/zone";

const DAYS = 7;

export function priceOf({ input_usd_per_million, output_usd_per_million }: Backend): string | null {
  if (input_usd_per_million === null || output_usd_per_million === null) return null;
  if (input_usd_per_million === 0 && output_usd_per_million === 0) return "no price is set: it counts as free";
  return `${usd(input_usd_per_million)} in, ${usd(output_usd_per_million)} out, for a million tokens`;
}

export type CostEntry = Costs["entries"][number];

/** A camera's costs by day, or (`id` null) those of all together; `cap` is that of one day, null: none. */
export interface CostRow {
  id: string | null;
  name: string;
  cap: number | null;
  spent: number;
  days: (CostEntry | null)[];
}

/** The last days, today first. */
export const lastDays = (today: string): string[] => Array.from({ length: DAYS }, (_, n) => addDays(today, -n));

/** One row for all cameras, then one for each that is there or has cost something. */
export function costRows(costs: Costs, cameras: Pick<Camera, "id" | "name" | "daily_budget_usd">[], days: string[]): CostRow[] {
  const ids = new Set([...cameras.map((camera) => camera.id), ...costs.entries.flatMap((entry) => entry.camera_id ?? [])]);
  const row = (id: string | null, name: string, cap: number | null): CostRow => {
    const of = days.map((day) => costs.entries.find((entry) => entry.day === day && entry.camera_id === id) ?? null);
    return { id, name, cap, days: of, spent: of[0]?.cost_usd ?? 0 };
  };
  const perCamera = [...ids].map((id) => {
    const camera = cameras.find((one) => one.id === id);
    return row(id, camera?.name ?? id, camera?.daily_budget_usd ?? costs.camera_budget_usd);
  });
  return [row(null, "All cameras", costs.total_budget_usd), ...perCamera];
}

/** How much of a cap is spent, 0 to 1; a cap of nothing is always spent. */
export const shareOf = ({ cap, spent }: Pick<CostRow, "cap" | "spent">): number | null =>
  cap === null ? null : cap === 0 ? 1 : Math.min(1, spent / cap);
