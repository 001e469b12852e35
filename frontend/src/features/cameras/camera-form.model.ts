/** What the camera form says, as the API takes it. Pure. */
import type { CameraCreate } from "../../api/cameras";

export type Filled = Required<Pick<CameraCreate, "name" | "source" | "substream" | "description" | "archive_seconds" | "retention_days" | "retention_bytes">>;

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
  return {
    name: text(form, "name"),
    source: text(form, "source"),
    substream: text(form, "substream") || null,
    description: text(form, "description"),
    archive_seconds: Number(text(form, "archive_seconds")),
    retention_days: numberOrNull(form, "retention_days"),
    retention_bytes: gigabytes === null ? null : Math.round(gigabytes * BYTES_IN_GB),
  };
}
