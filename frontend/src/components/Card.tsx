import type { ReactNode } from "react";

interface Props {
  title: string;
  beside?: ReactNode;
  flush?: boolean;
  className?: string;
  children: ReactNode;
}

/** A titled surface; `flush` lets its content reach the edges. */
export function Card({ title, beside, flush = false, className = "", children }: Props) {
  return (
    <section aria-label={title} className={`overflow-hidden rounded-xl border border-line bg-surface ${className}`}>
      <div className="flex min-h-11 flex-wrap items-center justify-between gap-2 border-b border-line px-4 py-2">
        <h2 className="text-sm font-semibold">{title}</h2>
        {beside}
      </div>
      <div className={flush ? "min-h-0" : "p-4"}>{children}</div>
    </section>
  );
}
