import { Link } from "@tanstack/react-router";
import { useState } from "react";

import type { Incident, IncidentState } from "../../api/incidents";
import { SeverityBadge } from "../../components/SeverityBadge";
import { INCIDENT_STATES, IncidentBadge } from "../../components/StateBadge";
import { Button } from "../../components/ui/Button";
import { Icon, type IconName } from "../../components/ui/Icon";
import { percent } from "../../lib/format";
import { leadOf } from "../../lib/lead";
import { position, utc } from "../../lib/time";
import { dateTimeIn } from "../../lib/zone";
import { ArchivePlayer, type Seek } from "../../player/ArchivePlayer";
import { VERDICTS } from "./incidents.model";
import { Snapshot } from "./Snapshot";

const ICONS: Record<IncidentState, IconName> = { confirmed: "check", rejected: "close", open: "undo" };
/** The two that judge come first. */
const ORDER = [...INCIDENT_STATES].sort((a, b) => Number(a === "open") - Number(b === "open"));

interface Props {
  incident: Incident;
  camera: string;
  zone: string;
  error: Error | null;
  /** Null where the reader may only look. */
  onVerdict: ((verdict: IncidentState) => void) | null;
}

/** An opened incident: its clip from a little before it, what was seen, and what to make of it. */
export function IncidentDetail({ incident, camera, zone, error, onVerdict }: Props) {
  const [seek, setSeek] = useState<Seek>({ second: leadOf(incident) });
  const gone = <p>The archive of this incident is deleted.</p>;
  return (
    <div>
      <div className="aspect-video w-full bg-black">
        {incident.video_url === null ? (
          <div className="relative h-full">
            <Snapshot url={incident.snapshot_url} className="h-full w-full" />
            <div className="absolute inset-x-0 bottom-0 bg-black/70 p-3 text-center text-sm text-white">{gone}</div>
          </div>
        ) : (
          <ArchivePlayer src={incident.video_url} seek={seek} label={`The clip of incident ${incident.id}`} failed={gone} />
        )}
      </div>
      <div className="space-y-3 p-4 text-sm">
        <div className="flex flex-wrap items-center gap-2">
          <SeverityBadge category={incident.category} severity={incident.severity} />
          <span role="status"><IncidentBadge state={incident.state} title={reviewed(incident)} /></span>
          <span className="ml-auto text-xs text-quiet" title={utc(incident.starts_at)}>{dateTimeIn(zone, incident.starts_at)}</span>
        </div>
        {onVerdict && (
          <div role="group" aria-label="Verdict" className="flex flex-wrap gap-2">
            {ORDER.map((state) => (
              <Button key={state} icon={ICONS[state]} aria-keyshortcuts={VERDICTS[state].key} disabled={incident.state === state}
                look={state === "confirmed" && incident.state === "open" ? "primary" : "plain"} onClick={() => onVerdict(state)}>
                {VERDICTS[state].label}
                <kbd aria-hidden className="rounded border border-current/30 px-1 font-mono text-[11px] leading-4 uppercase opacity-75 max-sm:hidden pointer-coarse:hidden">{VERDICTS[state].key}</kbd>
              </Button>
            ))}
          </div>
        )}
        {error && <p role="alert" className="text-bad">{`The verdict was not taken: ${error.message}`}</p>}
        <ul aria-label="Evidence" className="space-y-1">
          {incident.evidence.map((seen, n) => (
            <li key={n} className="flex gap-3">
              <button type="button" disabled={incident.video_url === null} aria-label={`Play from ${position(seen.t)}`} onClick={() => setSeek({ second: seen.t })}
                className="w-10 shrink-0 text-right text-accent hover:underline disabled:text-quiet disabled:no-underline">
                {position(seen.t)}
              </button>
              <span className="min-w-0 wrap-anywhere">{seen.note}</span>
            </li>
          ))}
        </ul>
        <p className="flex flex-wrap items-center gap-x-3 gap-y-1 text-xs text-quiet">
          <span>{`severity ${incident.severity} of 4, ${percent(incident.confidence)} confident`}</span>
          <Link to="/cameras/$id" params={{ id: incident.camera_id }} className="text-accent hover:underline">{camera}</Link>
          <Link to="/jobs/$id" params={{ id: String(incident.job_id) }} className="text-accent hover:underline">{`Job #${incident.job_id}`}</Link>
          {incident.video_url !== null && (
            <a className="ml-auto inline-flex items-center gap-1.5 text-accent hover:underline" href={`${incident.video_url}?download=true`}>
              <Icon name="save" />
              Save archive
            </a>
          )}
        </p>
      </div>
    </div>
  );
}

const reviewed = ({ reviewed_at, reviewed_by }: Incident): string | undefined =>
  reviewed_at === null ? undefined : `by ${reviewed_by ?? "somebody"}, ${utc(reviewed_at)}`;
