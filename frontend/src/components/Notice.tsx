/** What a page shows when there is nothing, nothing yet, or something went wrong. */
import type { ReactNode } from "react";

import { Button } from "./ui/Button";

function Notice({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="rounded-xl border border-dashed border-line bg-surface px-6 py-12 text-center">
      <p className="font-medium">{title}</p>
      {children && <div className="mx-auto mt-1 max-w-md space-y-3 text-sm text-quiet">{children}</div>}
    </div>
  );
}

export const EmptyState = Notice;

export function ErrorState({ error, onRetry }: { error: Error; onRetry: () => void }) {
  return (
    <div role="alert">
      <Notice title="This could not be loaded">
        <p>{error.message}</p>
        <Button onClick={onRetry}>Try again</Button>
      </Notice>
    </div>
  );
}

export function Skeleton({ className }: { className: string }) {
  return <div aria-hidden className={`animate-pulse rounded-xl bg-raised ${className}`} />;
}
