import type { ReactNode } from "react";

import type { Tone } from "../../lib/format";

export const TONES: Record<Tone, string> = {
  good: "text-good",
  warn: "text-warn",
  bad: "text-bad",
  info: "text-info",
  quiet: "text-quiet",
};

const TINTS: Record<Tone, string> = {
  good: "bg-good/10 border-good/25",
  warn: "bg-warn/10 border-warn/25",
  bad: "bg-bad/10 border-bad/25",
  info: "bg-info/10 border-info/25",
  quiet: "bg-quiet/10 border-quiet/25",
};

export function Badge({ tone, title, children }: { tone: Tone; title?: string | undefined; children: ReactNode }) {
  return (
    <span
      title={title}
      className={`inline-flex items-center gap-1.5 rounded-full border px-2 py-0.5 text-xs font-medium whitespace-nowrap ${TINTS[tone]} ${TONES[tone]}`}
    >
      <span aria-hidden className="size-1.5 rounded-full bg-current" />
      {children}
    </span>
  );
}
