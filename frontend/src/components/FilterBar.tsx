import type { ReactNode } from "react";

import type { Camera } from "../api/cameras";
import { INPUT } from "./ui/Field";

/** Filters side by side; two to a row on a phone. */
export const FilterBar = ({ label, children }: { label: string; children: ReactNode }) => (
  <search aria-label={label} className="mb-4 flex flex-wrap items-center gap-2 max-sm:grid max-sm:grid-cols-2 [&_input]:min-h-8 [&_select]:min-h-8 [&>*]:min-w-0">{children}</search>
);

interface Props<T extends string> {
  label: string;
  value: T | undefined;
  /** What stands for no choice. */
  any: string;
  options: [value: T, name: string][];
  /** A row of its own on a phone. */
  isWide?: boolean;
  onChange: (value: T | undefined) => void;
}

/** A choice of one, or of none. */
export function Choice<T extends string>({ label, value, any, options, isWide = false, onChange }: Props<T>) {
  return (
    <select aria-label={label} className={`${INPUT} max-w-full sm:!w-auto ${isWide ? "max-sm:col-span-2" : ""}`} value={value ?? ""}
      onChange={(event) => onChange(options.find(([name]) => name === event.target.value)?.[0])}>
      <option value="">{any}</option>
      {options.map(([option, name]) => <option key={option} value={option}>{name}</option>)}
    </select>
  );
}

/** One camera or every one. */
export function CameraChoice({ cameras, ...rest }: Omit<Props<string>, "label" | "any" | "options"> & { cameras: Camera[] }) {
  return <Choice label="Camera" any="Every camera" options={cameras.map((camera) => [camera.id, camera.name])} {...rest} />;
}

/** A day with its name before it. */
export function DayField({ label, value, max, onChange }: { label: string; value: string | undefined; max?: string | undefined; onChange: (day: string | undefined) => void }) {
  return (
    <label className="flex items-center gap-1.5 text-sm text-quiet">
      {label}
      <input type="date" value={value ?? ""} max={max} className={`${INPUT} min-w-0 sm:!w-auto`} onChange={(event) => onChange(event.target.value || undefined)} />
    </label>
  );
}
