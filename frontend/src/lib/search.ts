/** What a URL says, as filters take it. Pure. */

/** The router reads "123" as a number; a filter wants the text. */
export function asText(value: unknown): string | undefined {
  const text = typeof value === "string" ? value : typeof value === "number" ? String(value) : "";
  return text === "" ? undefined : text;
}

/** A whole number from 0 on. */
export function asNumber(value: unknown): number | undefined {
  const number = typeof value === "string" || typeof value === "number" ? Number(value) : Number.NaN;
  return Number.isInteger(number) && number >= 0 && value !== "" ? number : undefined;
}

/** One of some words. */
export const asOneOf = <T extends string>(words: readonly T[], value: unknown): T | undefined => words.find((word) => word === value);
