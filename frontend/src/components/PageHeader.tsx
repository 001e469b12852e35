import type { ReactNode } from "react";

import { useTitle } from "./useTitle";

interface Props {
  title: string;
  beside?: ReactNode;
  below?: ReactNode;
  children?: ReactNode;
}

/** The heading of a page, with what belongs beside it and its actions at the right. */
export function PageHeader({ title, beside, below, children }: Props) {
  useTitle(title);
  return (
    <header className="mb-4 flex flex-wrap items-center gap-x-4 gap-y-3">
      <div className="mr-auto min-w-0 wrap-anywhere">
        <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <h1 className="text-xl font-semibold tracking-tight">{title}</h1>
          {beside}
        </div>
        {below}
      </div>
      {children && <div className="flex max-w-full flex-wrap items-center gap-2">{children}</div>}
    </header>
  );
}
