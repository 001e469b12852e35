export function Progress({ percent, label }: { percent: number; label: string | null }) {
  return (
    <div className="min-w-32">
      <div
        role="progressbar"
        aria-valuenow={percent}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-label={label ?? "progress"}
        className="h-1.5 overflow-hidden rounded-full bg-raised"
      >
        <div className="h-full rounded-full bg-accent transition-[width]" style={{ width: `${percent}%` }} />
      </div>
      {label && <p className="mt-1 max-w-64 truncate text-xs text-quiet">{`${percent} % · ${label}`}</p>}
    </div>
  );
}
