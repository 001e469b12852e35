import { Link } from "@tanstack/react-router";

import type { Segment } from "../../api/cameras";
import type { JobStatus } from "../../api/jobs";
import { Score } from "../../components/Score";
import { useNow } from "../../components/useNow";
import { bytes, count } from "../../lib/format";
import { timeOfDay, timeOrDay, utc } from "../../lib/time";
import type { Place } from "./timeline.model";

const MOST_SHOWN = 120;

const UNFINISHED: Record<Exclude<JobStatus, "completed">, string> = {
  pending: "waits for a worker",
  processing: "being analysed",
  failed: "analysis failed",
  cancelled: "analysis cancelled",
};

interface Props {
  segments: Segment[];
  playing: Segment | null;
  onPlay: (place: Place) => void;
}

/** Archives, newest first, with the one that is being recorded. */
export function ArchiveList({ segments, playing, onPlay }: Props) {
  const now = useNow(60_000);
  if (segments.length === 0) return <p className="px-4 py-8 text-center text-sm text-quiet">No archives in this time.</p>;
  return (
    <ul className="divide-y divide-line">
      {segments.slice(0, MOST_SHOWN).map((segment) => (
        <li key={segment.started_at} className={`flex items-center gap-3 pr-4 hover:bg-raised ${playing?.started_at === segment.started_at ? "bg-raised" : ""}`}>
          <button type="button" onClick={() => onPlay({ segment, second: 0 })} aria-label={`Play the archive of ${timeOfDay(segment.started_at)}`}
            className="min-w-0 flex-1 py-2 pl-4 text-left focus-visible:-outline-offset-2">
            <span className="block text-sm" title={utc(segment.started_at)}>
              {`${timeOrDay(segment.started_at, now)} – ${segment.state === "recording" ? "now" : timeOfDay(segment.ended_at)}`}
            </span>
            <span className="block text-xs text-quiet">{`${describe(segment)} · ${bytes(segment.size_bytes)}`}</span>
          </button>
          {segment.job_id !== null && (
            <Link to="/jobs/$id" params={{ id: String(segment.job_id) }} className="text-xs text-accent hover:underline">{`#${segment.job_id}`}</Link>
          )}
          <span className="w-8 text-right"><Score value={segment.safety_score} /></span>
        </li>
      ))}
    </ul>
  );
}

function describe(segment: Segment): string {
  if (segment.state === "recording") return "being recorded";
  if (segment.job_status === null) return "not analysed";
  if (segment.job_status === "completed") return count(segment.incident_count ?? 0, "incident");
  return UNFINISHED[segment.job_status];
}
