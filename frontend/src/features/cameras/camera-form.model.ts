/** What the camera form says, as the API takes it. Pure. */
import type { CameraCreate } from "../../api/cameras";
import { CATEGORIES } from "../../api/incidents";
import type { DryRun, SceneBackend } from "../../api/scene";
import { BACKENDS } from "../../components/backends.model";

type Recorded = "name" | "source" | "substream" | "archive_seconds" | "retention_days" | "retention_bytes";
type Understood = "description" | "house_rules" | "categories" | "scene_backend" | "daily_budget_usd";
export type Filled = Required<Pick<CameraCreate, Recorded | Understood>>;

const BYTES_IN_GB = 1e9;

const text = (form: FormData, name: string): string => {
  const value = form.get(name);
  return typeof value === "string" ? value.trim() : "";
};

const numberOrNull = (form: FormData, name: string): number | null => {
  const value = text(form, name);
  return value === "" ? null : Number(value);
};

/** Fields left empty become null: the server's own setting holds. */
export function readForm(form: FormData): Filled {
  const gigabytes = numberOrNull(form, "retention_gb");
  const ticked = form.getAll("categories");
  const categories = CATEGORIES.filter((category) => ticked.includes(category));
  return {
    name: text(form, "name"),
    source: text(form, "source"),
    substream: text(form, "substream") || null,
    description: text(form, "description"),
    archive_seconds: Number(text(form, "archive_seconds")),
    retention_days: numberOrNull(form, "retention_days"),
    retention_bytes: gigabytes === null ? null : Math.round(gigabytes * BYTES_IN_GB),
    house_rules: text(form, "house_rules"),
    categories: categories.length === 0 ? null : categories,
    scene_backend: BACKENDS.find((backend) => backend === text(form, "scene_backend")) ?? null,
    daily_budget_usd: numberOrNull(form, "daily_budget_usd"),
  };
}

/**
 * What is tried of a form. What is left out of a try is as the camera has it, so that "all categories" and
 * "the server's backend" are spelt out.
 */
export const tryOf = ({ description, house_rules, categories, scene_backend }: Filled, fallback: SceneBackend | null): DryRun => ({
  description,
  house_rules,
  categories: categories ?? CATEGORIES,
  backend: scene_backend ?? fallback,
});
