import { Link, type LinkProps } from "@tanstack/react-router";
import type { ReactNode } from "react";

import { title } from "../lib/format";

interface Props<T extends string> {
  label: string;
  options: readonly T[];
  value: T | undefined;
  /** The page with only these, or with all. */
  link: (option: T | undefined) => LinkProps;
  /** What stands beside a name. */
  beside?: (option: T) => ReactNode;
}

/** A filter by one of a few states, as links. */
export function Tabs<T extends string>({ label, options, value, link, beside }: Props<T>) {
  return (
    <nav aria-label={label} className="mb-3 flex flex-wrap gap-0.5">
      {[undefined, ...options].map((option) => (
        <Link key={option ?? "all"} {...link(option)} activeOptions={{ exact: true, includeSearch: true }}
          className={`flex min-h-8 items-center gap-1.5 rounded-md px-2.5 text-sm whitespace-nowrap transition-colors hover:bg-raised ${option === value ? "bg-raised font-medium text-ink" : "text-quiet"}`}>
          {option ? title(option) : "All"}
          {option && beside?.(option)}
        </Link>
      ))}
    </nav>
  );
}
