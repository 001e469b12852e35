import type { ReactNode } from "react";

import type { Camera, Segment } from "../../api/cameras";
import { Score } from "../../components/Score";
import { CameraBadge } from "../../components/StateBadge";
import { Button } from "../../components/ui/Button";
import { Icon } from "../../components/ui/Icon";
import { useNow } from "../../components/useNow";
import { sentence } from "../../lib/format";
import { ago, dateAndTime, utc } from "../../lib/time";
import { ArchivePlayer, type Seek } from "../../player/ArchivePlayer";
import { LivePlayer } from "../../player/LivePlayer";
import { LiveBar, LiveMessage } from "./LiveOverlay";
import type { Place } from "./timeline.model";

export interface Playing extends Place {
  seek: Seek;
}

interface Props {
  camera: Camera;
  playing: Playing | null;
  moment: number | null;
  onMoment: (moment: number) => void;
  onEnded: () => void;
  onLive: () => void;
}

const ignore = () => undefined;

/** A file that still grows gets another address each time, or the browser keeps its old length. */
const archiveUrl = ({ state, video_url, size_bytes }: Segment) =>
  state === "recording" ? `${video_url}?size=${size_bytes}` : video_url;

/** The picture of one camera: live, or an archive in the same place, and what it is. */
export function Stage({ camera, playing, moment, onMoment, onEnded, onLive }: Props) {
  return (
    <section aria-label="Video" className="overflow-hidden rounded-xl border border-line bg-surface">
      <div data-stage className="aspect-video max-h-[62dvh] w-full bg-black">
        {playing ? (
          <ArchivePlayer src={archiveUrl(playing.segment)} seek={playing.seek} label={`${camera.name}, archive`} onEnded={onEnded}
            onTime={(second) => onMoment(Date.parse(playing.segment.started_at) + second * 1000)}
            failed={<p>This archive cannot be played. Perhaps it was deleted meanwhile.</p>} />
        ) : camera.enabled ? (
          <LivePlayer url={camera.live_url} label={`${camera.name}, live`} onReport={ignore}>
            {(report, toggle) => (
              <>
                <LiveMessage state={camera.state} report={report} />
                <LiveBar report={report} toggle={toggle} />
              </>
            )}
          </LivePlayer>
        ) : (
          <p className="grid h-full place-items-center text-sm text-white/60">Switched off: nothing is shown or recorded</p>
        )}
      </div>
      <div className="flex min-h-12 flex-wrap items-center gap-x-3 gap-y-2 px-4 py-2 text-sm">
        {playing ? <ArchiveLine playing={playing} moment={moment} onLive={onLive} /> : <StateLine camera={camera} />}
      </div>
      {camera.probe?.transcoded && (
        <Hint>
          {`Browsers cannot play this camera's ${camera.probe.codec}, so VAP transcodes it to H.264. That costs CPU as long as the camera runs; setting the camera to H.264 saves it.`}
        </Hint>
      )}
    </section>
  );
}

function ArchiveLine({ playing, moment, onLive }: { playing: Playing; moment: number | null; onLive: () => void }) {
  const { segment } = playing;
  return (
    <>
      <Button look="primary" icon="live" onClick={onLive}>Back to live</Button>
      <span>{dateAndTime(moment === null ? segment.started_at : new Date(moment))}</span>
      {segment.safety_score !== null && <span className="text-quiet">score <Score value={segment.safety_score} /></span>}
      {segment.state === "recording" && <span className="text-quiet">still being recorded</span>}
      <a className="ml-auto inline-flex items-center gap-1.5 text-accent hover:underline" href={`${segment.video_url}?download=true`}>
        <Icon name="save" />
        Save archive
      </a>
    </>
  );
}

function StateLine({ camera }: { camera: Camera }) {
  const now = useNow();
  const { probe } = camera;
  return (
    <>
      <CameraBadge state={camera.state} title={`since ${utc(camera.state_since)}`} />
      <span className="text-quiet">{`for ${ago(camera.state_since, now)}`}</span>
      {camera.state_reason && <span className="text-warn">{sentence(camera.state_reason)}</span>}
      {probe && (
        <span className="ml-auto text-xs text-quiet">
          {`${probe.codec.toUpperCase()} · ${probe.width} × ${probe.height}${probe.fps ? ` · ${probe.fps.toFixed(0)} fps` : ""} · ${probe.transcoded ? "transcoded" : "copied as it is"}`}
        </span>
      )}
    </>
  );
}

function Hint({ children }: { children: ReactNode }) {
  return (
    <p className="flex gap-2 border-t border-line bg-warn/10 px-4 py-2 text-sm text-warn">
      <Icon name="alert" className="mt-0.5 size-4" />
      {children}
    </p>
  );
}
