import type { CameraState } from "../../api/cameras";
import { Button } from "../../components/ui/Button";
import { Icon } from "../../components/ui/Icon";
import type { LiveReport } from "../../player/attach-live";
import { type LiveStatus, meansPlay } from "../../player/live-status";

/** What an empty picture means, by the camera's state. */
const WAITING: Record<CameraState, string> = {
  starting: "The camera is starting…",
  live: "Connecting…",
  stalled: "The source sends no pictures",
  reconnecting: "Reconnecting to the source…",
  failed: "The source cannot be recorded",
  stopped: "Switched off",
};

const BAR_TEXT: Record<LiveStatus, (latencyS: number | null) => string> = {
  connecting: () => "Not connected yet",
  playing: (latencyS) => (latencyS === null ? "Live" : `${latencyS.toFixed(1)} s behind live`),
  waiting: () => "Waiting for pictures",
  paused: () => "Paused",
  blocked: () => "Not started",
};

const BAR_BUTTON = "!text-white hover:!bg-white/20";

/** Stands over a live picture that does not move, and says why. */
export function LiveMessage({ state, report }: { state: CameraState; report: LiveReport }) {
  if (report.status === "playing" || report.status === "paused") return null;
  const text: Record<Exclude<LiveStatus, "playing" | "paused">, string> = {
    blocked: "This browser plays video only after a click",
    connecting: WAITING[state],
    waiting: state === "live" ? "The picture stopped; going on as soon as it comes…" : WAITING[state],
  };
  return (
    <p role="status" className="pointer-events-none absolute inset-0 grid place-items-center bg-black/45 p-4 text-center text-sm text-white">
      {text[report.status]}
    </p>
  );
}

/** The controls of a large live view: pause, how far behind live, full screen. */
export function LiveBar({ report, toggle }: { report: LiveReport; toggle: () => void }) {
  const canPlay = meansPlay(report.status);
  return (
    <div className="absolute inset-x-0 bottom-0 flex items-center gap-2 bg-gradient-to-t from-black/75 to-transparent px-3 pt-8 pb-2 text-white">
      <Button look="quiet" icon={canPlay ? "play" : "pause"} className={BAR_BUTTON} aria-label={canPlay ? "Go on, live" : "Pause"} onClick={toggle} />
      <span className="flex items-center gap-1.5 text-sm">
        <Icon name="live" className={`size-4 ${report.status === "playing" ? "text-red-400" : "text-white/50"}`} />
        {BAR_TEXT[report.status](report.latencyS)}
      </span>
      {document.fullscreenEnabled && (
        <Button look="quiet" icon="expand" className={`ml-auto ${BAR_BUTTON}`} aria-label="Full screen"
          onClick={(event) => {
            if (document.fullscreenElement) void document.exitFullscreen();
            else void event.currentTarget.closest("[data-stage]")?.requestFullscreen();
          }} />
      )}
    </div>
  );
}
