/** What each tone looks like; written out, as Tailwind finds only whole names of classes. */
import type { Tone } from "../lib/format";

export const TEXT: Record<Tone, string> = { good: "text-good", warn: "text-warn", bad: "text-bad", info: "text-info", quiet: "text-quiet" };

/** Behind a text of the same tone. */
export const TINT: Record<Tone, string> = {
  good: "bg-good/10 border-good/25",
  warn: "bg-warn/10 border-warn/25",
  bad: "bg-bad/10 border-bad/25",
  info: "bg-info/10 border-info/25",
  quiet: "bg-quiet/10 border-quiet/25",
};

/** A stretch of time. */
export const FILL: Record<Tone, string> = { good: "bg-good/55", warn: "bg-warn/65", bad: "bg-bad/70", info: "bg-info/50", quiet: "bg-quiet/35" };

/** A small mark. */
export const MARK: Record<Tone, string> = { good: "bg-good", warn: "bg-warn", bad: "bg-bad", info: "bg-info", quiet: "bg-quiet" };
