import { scoreTone } from "../lib/format";
import { TEXT } from "./tones";

const SIZES = { inline: "", medium: "text-2xl leading-none", large: "text-5xl leading-none tracking-tight" } as const;

/** A safety score, 0 to 100; 100 is safe. */
export function Score({ value, size = "inline" }: { value: number | null | undefined; size?: keyof typeof SIZES }) {
  const known = value !== null && value !== undefined;
  return (
    <span title="Safety score: 100 is safe, 0 is worst" aria-label={known ? `safety score ${value}` : "no safety score yet"}
      className={`font-semibold ${SIZES[size]} ${TEXT[scoreTone(value)]}`}>
      {value ?? "–"}
    </span>
  );
}
