import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";

import { type Camera, latestQuery } from "../../api/cameras";
import { FootageBadge } from "../../components/FootageBadge";
import { Score } from "../../components/Score";
import { CameraBadge } from "../../components/StateBadge";
import { useNow } from "../../components/useNow";
import { count, sentence } from "../../lib/format";
import { ago, utc } from "../../lib/time";
import { LivePlayer } from "../../player/LivePlayer";
import { useTileUrl } from "../../player/useTileUrl";
import { LiveMessage } from "./LiveOverlay";

/** One camera on the overview: live, its state, how far behind live, and the newest score. */
export function CameraTile({ camera }: { camera: Camera }) {
  const [latency, setLatency] = useState<number | null>(null);
  const url = useTileUrl(camera.live_url, camera.enabled ? camera.live_sub_url : null);
  const latest = useQuery(latestQuery(camera.id));
  const now = useNow();
  const scored = latest.data?.items.find((segment) => segment.safety_score !== null);
  return (
    <article className="overflow-hidden rounded-xl border border-line bg-surface transition-shadow hover:shadow-md">
      <Link to="/cameras/$id" params={{ id: camera.id }} aria-label={`Open ${camera.name}`} className="block aspect-video bg-black">
        {camera.enabled ? (
          url !== null && (
            <LivePlayer url={url} label={`${camera.name}, live`} onReport={(report) => setLatency(report.latencyS)}>
              {(report) => <LiveMessage state={camera.state} report={report} />}
            </LivePlayer>
          )
        ) : (
          <p className="grid h-full place-items-center text-sm text-white/60">Switched off</p>
        )}
      </Link>
      <div className="flex items-start justify-between gap-3 px-4 py-3">
        <div className="min-w-0">
          <h2 className="truncate font-semibold">
            <Link to="/cameras/$id" params={{ id: camera.id }} className="hover:underline">
              {camera.name}
            </Link>
          </h2>
          <p className="mt-1.5 flex flex-wrap items-center gap-x-2 gap-y-1 text-xs text-quiet">
            <CameraBadge state={camera.state} title={`since ${utc(camera.state_since)}`} />
            <span>{`for ${ago(camera.state_since, now)}`}</span>
            {camera.state === "live" && latency !== null && <span>{`· ${latency.toFixed(1)} s behind live`}</span>}
            <FootageBadge camera={camera} />
          </p>
          {camera.state_reason && <p className="mt-1.5 text-xs text-warn">{sentence(camera.state_reason)}</p>}
        </div>
        <div className="shrink-0 text-right">
          <p>
            <Score value={scored?.safety_score} size="medium" />
          </p>
          <p className="mt-1 text-xs text-quiet">{scored ? count(scored.incident_count ?? 0, "incident") : "no score yet"}</p>
          {scored && <p className="text-xs text-quiet" title={utc(scored.ended_at)}>{`${ago(scored.ended_at, now)} ago`}</p>}
        </div>
      </div>
    </article>
  );
}
