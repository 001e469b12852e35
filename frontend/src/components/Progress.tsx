/** How far something is, with what it does now. */
export function Progress({ percent, label }: { percent: number; label: string | null }) {
  return (
    <div className="w-44 max-w-full">
      <div role="progressbar" aria-valuenow={percent} aria-valuemin={0} aria-valuemax={100} aria-label={label ?? "Progress"}
        className="h-1.5 overflow-hidden rounded-full bg-line">
        <div className="h-full rounded-full bg-accent transition-[width] duration-300" style={{ width: `${percent}%` }} />
      </div>
      <p className="mt-1 flex gap-2 text-xs text-quiet">
        <span className="whitespace-nowrap">{`${percent} %`}</span>
        {label && <span className="truncate" title={label}>{label}</span>}
      </p>
    </div>
  );
}
