import { Link } from "@tanstack/react-router";

import type { Segment } from "../../api/cameras";
import { SeverityBadge } from "../../components/SeverityBadge";
import { IncidentBadge } from "../../components/StateBadge";
import { useNow } from "../../components/useNow";
import { percent } from "../../lib/format";
import { duration, timeOrDay, utc } from "../../lib/time";
import { leadTo, marks, momentOf, type Place } from "./timeline.model";

const MOST_SHOWN = 200;

interface Props {
  segments: Segment[];
  onPlay: (place: Place) => void;
}

/** Incidents, newest first; each plays its archive a little before it begins. */
export function IncidentList({ segments, onPlay }: Props) {
  const now = useNow(60_000);
  const all = marks(segments);
  if (all.length === 0) {
    return (
      <p className="px-4 py-8 text-center text-sm text-quiet">
        {segments.some((segment) => segment.safety_score !== null) ? "Nothing was found in this time." : "No archive of this time is analysed yet."}
      </p>
    );
  }
  return (
    <ul className="divide-y divide-line">
      {all.slice(0, MOST_SHOWN).map((mark) => {
        const { segment, incident } = mark;
        const moment = momentOf(segment, incident.t_start);
        const notes = [...new Set(incident.evidence.map((seen) => seen.note))];
        return (
          <li key={incident.id} className={`relative ${incident.state === "rejected" ? "opacity-60" : ""}`}>
            <button type="button" className="w-full px-4 pt-2.5 pb-8 text-left transition-colors hover:bg-raised focus-visible:-outline-offset-2"
              onClick={() => onPlay(leadTo(mark))}>
              <span className="flex items-center gap-2">
                <SeverityBadge category={incident.category} severity={incident.severity} />
                {incident.state !== "open" && <IncidentBadge state={incident.state} />}
                <span className="ml-auto text-xs" title={utc(moment)}>{timeOrDay(moment, now)}</span>
              </span>
              <span className="mt-1 block text-xs text-quiet">
                {`severity ${incident.severity} of 4 · ${percent(incident.confidence)} confident · ${duration(Math.max(1, incident.t_end - incident.t_start))}`}
              </span>
              {notes.length > 0 && <span className="mt-0.5 block text-xs text-quiet">{notes.join(" → ")}</span>}
            </button>
            <Link to="/incidents" search={{ camera_id: incident.camera_id, incident: incident.id }} className="absolute bottom-2 left-4 text-xs text-accent hover:underline">
              {incident.state === "open" ? "Confirm or reject" : "Open"}
            </Link>
          </li>
        );
      })}
    </ul>
  );
}
