import { scoreTone } from "../lib/format";
import { TONES } from "./ui/Badge";

/** A safety score, 0 to 100; 100 is safe. */
export function Score({ value, large = false }: { value: number | null | undefined; large?: boolean }) {
  return (
    <span
      title="Safety score: 100 is safe, 0 is worst"
      className={`font-semibold ${large ? "text-4xl" : ""} ${TONES[scoreTone(value)]}`}
    >
      {value ?? "–"}
    </span>
  );
}
