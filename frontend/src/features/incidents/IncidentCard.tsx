import type { Incident } from "../../api/incidents";
import { backendName } from "../../components/backends.model";
import { SeverityBadge } from "../../components/SeverityBadge";
import { IncidentBadge } from "../../components/StateBadge";
import { percent } from "../../lib/format";
import { utc } from "../../lib/time";
import { dateTimeIn } from "../../lib/zone";
import { Snapshot } from "./Snapshot";

const MOST_NOTES = 3;

interface Props {
  incident: Incident;
  camera: string;
  zone: string;
  isOpen: boolean;
  onOpen: () => void;
}

/** One incident of the list: picture, what, when, where, and the first of what was seen. */
export function IncidentCard({ incident, camera, zone, isOpen, onOpen }: Props) {
  const notes = incident.evidence.map((seen) => seen.note);
  return (
    <button type="button" aria-expanded={isOpen} onClick={onOpen} data-incident={incident.id}
      className={`flex w-full items-stretch gap-3 p-3 text-left transition-colors hover:bg-raised focus-visible:-outline-offset-2 ${isOpen ? "bg-raised shadow-[inset_3px_0_0_var(--accent)]" : ""}`}>
      <Snapshot url={incident.snapshot_url} className={`aspect-video w-40 shrink-0 self-start rounded-md max-sm:w-24 ${incident.state === "rejected" ? "opacity-50 grayscale" : ""}`} />
      <span className={`min-w-0 flex-1 ${incident.state === "rejected" ? "opacity-60" : ""}`}>
        <span className="flex flex-wrap items-center gap-1.5">
          <SeverityBadge category={incident.category} severity={incident.severity} />
          {incident.state !== "open" && <IncidentBadge state={incident.state} />}
          <span className="ml-auto text-xs whitespace-nowrap max-sm:ml-0" title={utc(incident.starts_at)}>{dateTimeIn(zone, incident.starts_at)}</span>
        </span>
        <span className="mt-1 block text-sm">
          <b className="font-medium">{camera}</b>
          <span className="text-xs text-quiet">{` · severity ${incident.severity} of 4 · ${percent(incident.confidence)} confident`}</span>
        </span>
        {notes.slice(0, MOST_NOTES).map((note, n) => <span key={n} className="mt-0.5 block text-xs wrap-anywhere text-quiet">{note}</span>)}
        {notes.length > MOST_NOTES && <span className="mt-0.5 block text-xs text-quiet">{`and ${notes.length - MOST_NOTES} more`}</span>}
        <span className="mt-1 block text-[11px] text-quiet">{[backendName(incident.backend), incident.model].filter(Boolean).join(" · ")}</span>
      </span>
    </button>
  );
}
