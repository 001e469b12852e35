import type { ReactNode } from "react";

import { Icon, type IconName } from "./ui/Icon";

interface Props {
  icon: IconName;
  title: string;
  children?: ReactNode;
}

/** What stands where there is nothing: why, and what to do about it. */
export function EmptyState({ icon, title, children }: Props) {
  return (
    <div className="rounded-xl border border-dashed border-line bg-surface px-6 py-14 text-center">
      <span className="mx-auto mb-3 grid size-11 place-items-center rounded-full bg-raised text-quiet">
        <Icon name={icon} className="size-6" />
      </span>
      <p className="font-semibold">{title}</p>
      {children && <div className="mx-auto mt-1 max-w-md space-y-4 text-sm text-quiet">{children}</div>}
    </div>
  );
}
