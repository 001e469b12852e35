import type { ReactNode } from "react";

import type { Tone } from "../lib/format";
import { TEXT, TINT } from "./tones";
import { Icon } from "./ui/Icon";

interface Props {
  tone: Tone;
  role?: "alert" | "status";
  /** Stands above the whole page, not among other things. */
  isBanner?: boolean;
  className?: string;
  children: ReactNode;
}

/** What went wrong, or is not as one would expect, with a sign before it. */
export function Notice({ tone, role, isBanner = false, className = "", children }: Props) {
  const look = isBanner ? `gap-2 rounded-xl px-4 py-3 ${TEXT[tone]}` : "gap-2.5 rounded-md p-3";
  return (
    <div role={role} className={`flex border text-sm ${look} ${TINT[tone]} ${className}`}>
      <Icon name="alert" className={`mt-0.5 size-4 ${TEXT[tone]}`} />
      <div className="min-w-0 space-y-1 wrap-anywhere">{children}</div>
    </div>
  );
}
