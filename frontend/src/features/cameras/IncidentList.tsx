import type { Segment } from "../../api/cameras";
import { Badge } from "../../components/ui/Badge";
import { percent, severityTone, words } from "../../lib/format";
import { timeOfDay, utc } from "../../lib/time";
import { momentOf } from "./timeline.model";

const LEAD_S = 2;

interface Props {
  segments: Segment[];
  onPlay: (segment: Segment, second: number) => void;
}

/** Incidents, newest first; each plays its archive a little before it begins. */
export function IncidentList({ segments, onPlay }: Props) {
  const incidents = segments
    .flatMap((segment) => segment.incidents.map((incident) => ({ segment, incident })))
    .sort((a, b) =>
      momentOf(b.segment, b.incident.t_start).localeCompare(momentOf(a.segment, a.incident.t_start)));
  if (incidents.length === 0) return <p className="text-sm text-quiet">No incidents in this time.</p>;
  return (
    <ul className="divide-y divide-line rounded-xl border border-line bg-surface">
      {incidents.map(({ segment, incident }) => {
        const moment = momentOf(segment, incident.t_start);
        return (
          <li key={`${moment} ${incident.category}`}>
            <button type="button" className="w-full px-3 py-2 text-left hover:bg-raised"
              onClick={() => onPlay(segment, Math.max(0, incident.t_start - LEAD_S))}>
              <span className="flex flex-wrap items-center gap-x-3 gap-y-1">
                <span title={utc(moment)}>{timeOfDay(moment)}</span>
                <Badge tone={severityTone(incident.severity)}>{words(incident.category)}</Badge>
                <span className="text-xs text-quiet">
                  {`severity ${incident.severity} · ${percent(incident.confidence)} sure · ${(incident.t_end - incident.t_start).toFixed(0)} s`}
                </span>
              </span>
              <span className="mt-0.5 block text-xs text-quiet">
                {incident.evidence.map((seen) => seen.note).join(" → ")}
              </span>
            </button>
          </li>
        );
      })}
    </ul>
  );
}
