import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { type Camera, cameraKeys, enableCamera, gapsQuery, type Segment, segmentsQuery } from "../../api/cameras";
import { ErrorState, Skeleton } from "../../components/Notice";
import { CameraBadge } from "../../components/StateBadge";
import { Score } from "../../components/Score";
import { Button } from "../../components/ui/Button";
import { useNow } from "../../components/useNow";
import { bytes } from "../../lib/format";
import { ago, timeOfDay, utc } from "../../lib/time";
import { LivePlayer } from "../../player/LivePlayer";
import { ArchivePlayer } from "./ArchivePlayer";
import { CameraDialog } from "./CameraDialog";
import { IncidentList } from "./IncidentList";
import { RemoveDialog } from "./RemoveDialog";
import { Timeline } from "./Timeline";

export const RANGES = [1, 6, 24] as const;
export type Range = (typeof RANGES)[number];

interface Props {
  camera: Camera;
  hours: Range;
  onHours: (hours: Range) => void;
  onRemoved: () => void;
}

interface Playing {
  segment: Segment;
  second: number;
}

/** One camera: live or an archive in the same place, the timeline, incidents and archives. */
export function CameraPage({ camera, hours, onHours, onRemoved }: Props) {
  const [latency, setLatency] = useState<number | null>(null);
  const [playing, setPlaying] = useState<Playing | null>(null);
  const [moment, setMoment] = useState<number | null>(null);
  const [dialog, setDialog] = useState<"edit" | "remove" | null>(null);
  const now = useNow();
  const segments = useQuery(segmentsQuery(camera.id, hours));
  const gaps = useQuery(gapsQuery(camera.id, hours));
  const cache = useQueryClient();
  const enable = useMutation({
    mutationFn: () => enableCamera(camera.id, !camera.enabled),
    onSettled: () => cache.invalidateQueries({ queryKey: cameraKeys.all }),
  });
  const play = (segment: Segment, second: number) => setPlaying({ segment, second });
  const backToLive = () => {
    setPlaying(null);
    setMoment(null);
  };
  const items = segments.data?.items ?? [];
  return (
    <div className="space-y-5">
      <header className="flex flex-wrap items-center justify-between gap-3">
        <div>
          <h1 className="text-xl font-semibold">{camera.name}</h1>
          {camera.description && <p className="text-sm text-quiet">{camera.description}</p>}
        </div>
        <div className="flex flex-wrap gap-2">
          <Button onClick={() => enable.mutate()} disabled={enable.isPending}>
            {camera.enabled ? "Switch off" : "Switch on"}
          </Button>
          <Button onClick={() => setDialog("edit")}>Edit</Button>
          <Button look="danger" onClick={() => setDialog("remove")}>Remove</Button>
        </div>
      </header>

      <section aria-label="Video" className="overflow-hidden rounded-xl border border-line bg-surface">
        <div className="aspect-video max-h-[70dvh] w-full bg-black">
          {playing ? (
            <ArchivePlayer segment={playing.segment} second={playing.second} onMoment={setMoment} onEnded={backToLive} />
          ) : camera.enabled ? (
            <LivePlayer url={camera.live_url} label={`${camera.name}, live`} onLatency={setLatency} controls />
          ) : (
            <p className="grid h-full place-items-center text-white/60">This camera is switched off</p>
          )}
        </div>
        <div className="flex min-h-12 flex-wrap items-center gap-x-4 gap-y-2 px-4 py-2 text-sm">
          {playing ? (
            <>
              <Button look="primary" onClick={backToLive}>Back to live</Button>
              <span>{`Archive, ${moment === null ? "" : timeOfDay(new Date(moment))}`}</span>
              <Score value={playing.segment.safety_score} />
              <a className="text-accent underline" href={`${playing.segment.video_url}?download=true`}>Save this archive</a>
            </>
          ) : (
            <>
              <CameraBadge state={camera.state} title={utc(camera.state_since)} />
              <span className="text-quiet">{`for ${ago(camera.state_since, now)}`}</span>
              {camera.state === "live" && latency !== null && (
                <span className="text-quiet">{`${latency.toFixed(1)} s behind live`}</span>
              )}
              {camera.state_reason && <span className="text-warn">{camera.state_reason}</span>}
            </>
          )}
          {camera.probe && (
            <span className="ml-auto text-xs text-quiet">
              {`${camera.probe.codec} · ${camera.probe.width} × ${camera.probe.height} · ${camera.probe.fps?.toFixed(0) ?? "?"} fps`}
            </span>
          )}
        </div>
        {camera.probe?.transcoded && (
          <p className="border-t border-line px-4 py-2 text-sm text-warn">
            {`Browsers cannot play ${camera.probe.codec}, so live and archive are transcoded to H.264. That costs CPU as long as the camera runs; set the camera to H.264 to save it.`}
          </p>
        )}
      </section>

      <section aria-label="Timeline">
        <div className="mb-2 flex items-center justify-between">
          <h2 className="font-medium">Timeline</h2>
          <div role="group" aria-label="Length of the timeline" className="flex gap-1">
            {RANGES.map((range) => (
              <Button key={range} aria-pressed={range === hours} look={range === hours ? "primary" : "plain"}
                onClick={() => onHours(range)}>{`${range} h`}</Button>
            ))}
          </div>
        </div>
        {segments.isPending && <Skeleton className="h-20" />}
        {segments.error && <ErrorState error={segments.error} onRetry={() => void segments.refetch()} />}
        {segments.data && (
          <Timeline span={{ from: now - hours * 3_600_000, to: now }} segments={items} gaps={gaps.data?.items ?? []}
            playing={playing ? moment : null} onPick={play} />
        )}
      </section>

      <div className="grid gap-5 lg:grid-cols-2">
        <section aria-label="Incidents">
          <h2 className="mb-2 font-medium">Incidents</h2>
          <IncidentList segments={items} onPlay={play} />
        </section>
        <section aria-label="Archives">
          <h2 className="mb-2 font-medium">Archives</h2>
          <ArchiveList segments={items} onPlay={play} />
        </section>
      </div>
      {dialog === "edit" && <CameraDialog camera={camera} onClose={() => setDialog(null)} />}
      {dialog === "remove" && <RemoveDialog camera={camera} onClose={() => setDialog(null)} onRemoved={onRemoved} />}
    </div>
  );
}

const MOST_SHOWN = 60;

function ArchiveList({ segments, onPlay }: { segments: Segment[]; onPlay: (segment: Segment, second: number) => void }) {
  if (segments.length === 0) return <p className="text-sm text-quiet">No archives in this time.</p>;
  return (
    <ul className="max-h-96 divide-y divide-line overflow-y-auto rounded-xl border border-line bg-surface">
      {segments.slice(0, MOST_SHOWN).map((segment) => (
        <li key={segment.started_at}>
          <button type="button" onClick={() => onPlay(segment, 0)}
            className="flex w-full items-center gap-3 px-3 py-2 text-left text-sm hover:bg-raised">
            <span title={utc(segment.started_at)}>
              {`${timeOfDay(segment.started_at)} – ${segment.state === "recording" ? "now" : timeOfDay(segment.ended_at)}`}
            </span>
            <span className="text-xs text-quiet">{bytes(segment.size_bytes)}</span>
            <span className="ml-auto text-xs text-quiet">{describe(segment)}</span>
            <Score value={segment.safety_score} />
          </button>
        </li>
      ))}
    </ul>
  );
}

function describe(segment: Segment): string {
  if (segment.state === "recording") return "being recorded";
  if (segment.job_status === "completed") return `${segment.incident_count ?? 0} incidents`;
  return segment.job_status ? `analysis ${segment.job_status}` : "not analysed";
}
