import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";

import { type Camera, latestQuery } from "../../api/cameras";
import { Score } from "../../components/Score";
import { CameraBadge } from "../../components/StateBadge";
import { useNow } from "../../components/useNow";
import { ago, utc } from "../../lib/time";
import { LivePlayer } from "../../player/LivePlayer";

/** One camera on the overview: live, its state, how far behind live, and the newest score. */
export function CameraTile({ camera }: { camera: Camera }) {
  const [latency, setLatency] = useState<number | null>(null);
  const latest = useQuery(latestQuery(camera.id));
  const now = useNow();
  const scored = latest.data?.items.find((segment) => segment.safety_score !== null);
  return (
    <article className="overflow-hidden rounded-xl border border-line bg-surface">
      <Link to="/cameras/$id" params={{ id: camera.id }} className="block aspect-video bg-black">
        {camera.state === "stopped" ? (
          <p className="grid h-full place-items-center text-sm text-white/60">This camera is switched off</p>
        ) : (
          <LivePlayer url={camera.live_url} label={`${camera.name}, live`} onLatency={setLatency} />
        )}
      </Link>
      <div className="flex items-start justify-between gap-3 p-3">
        <div className="min-w-0">
          <h2 className="truncate font-medium">
            <Link to="/cameras/$id" params={{ id: camera.id }}>
              {camera.name}
            </Link>
          </h2>
          <p className="mt-1 flex flex-wrap items-center gap-x-2 gap-y-1 text-xs text-quiet">
            <CameraBadge state={camera.state} title={utc(camera.state_since)} />
            <span>{`for ${ago(camera.state_since, now)}`}</span>
            {camera.state === "live" && latency !== null && <span>{`${latency.toFixed(1)} s behind live`}</span>}
          </p>
          {camera.state_reason && <p className="mt-1 text-xs text-warn">{camera.state_reason}</p>}
        </div>
        <div className="text-right">
          <p className="text-2xl leading-none">
            <Score value={scored?.safety_score} />
          </p>
          <p className="mt-1 text-xs text-quiet">{scored ? `${ago(scored.ended_at, now)} ago` : "no score yet"}</p>
        </div>
      </div>
    </article>
  );
}
