/** Numbers and words as people read them. */

export function bytes(size: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = size;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${units[unit] ?? ""}`;
}

/** "near_miss" -> "near miss" */
export const words = (name: string): string => name.replaceAll("_", " ");

export const percent = (share: number): string => `${Math.round(share * 100)} %`;

export type Tone = "good" | "warn" | "bad" | "quiet" | "info";

/** What a safety score means at a glance: 100 is safe, 0 is worst. */
export function scoreTone(score: number | null | undefined): Tone {
  if (score === null || score === undefined) return "quiet";
  if (score >= 85) return "good";
  return score >= 60 ? "warn" : "bad";
}

export const severityTone = (severity: number): Tone => (severity >= 3 ? "bad" : severity === 2 ? "warn" : "info");

/** "1 incident", "2 incidents" */
export const count = (number: number, thing: string): string => `${number} ${thing}${number === 1 ? "" : "s"}`;

/** "near_miss" -> "Near miss" */
export const title = (name: string): string => words(name).replace(/^./, (first) => first.toUpperCase());

/** The server's "unreachable: The source cannot be reached." -> "The source cannot be reached." */
export const sentence = (reason: string): string =>
  reason.replace(/^[a-z_]+: (?=\S)/, "").replace(/^./, (first) => first.toUpperCase());

const cents = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const fractions = new Intl.NumberFormat("en", { maximumSignificantDigits: 2, maximumFractionDigits: 8 });

/** US dollars: "$1.20", and of less than a cent what it takes: "$0.00008". */
export function usd(dollars: number): string {
  if (dollars === 0) return "$0";
  return `$${(dollars < 0.01 ? fractions : cents).format(dollars)}`;
}

/** A large number with its thousands apart. */
export const thousands = (number: number): string => new Intl.NumberFormat("en").format(number).replaceAll(",", "\u202f");
