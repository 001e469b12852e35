/**
 * Plays a live HLS stream in a video element and keeps it at the live edge: on load, on return to the
 * tab, on play and after a break. Knows nothing of React, so that no re-render ever touches the player.
 *
 * A playlist that is not there yet (the camera starts) and every other fatal error end in the same way:
 * the player is built anew, ever more calmly, until pictures move again; at once when somebody comes
 * back to the tab or presses play.
 */
import type { BuildEngine, Engine } from "./engine";
import { buildHls, canPlayByHls } from "./hls-engine";
import { isHung, rebuildDelay, seekTarget, type Stand, watch } from "./live-edge";
import { type LiveStatus, liveStatus, meansPlay } from "./live-status";
import { buildNative } from "./native-engine";

export interface LiveReport {
  status: LiveStatus;
  /** Seconds behind live, null when not known. */
  latencyS: number | null;
}

export interface LiveHandle {
  /** Pause, or go on at the live edge. */
  toggle: () => void;
  destroy: () => void;
}

const LOOK_EVERY_MS = 1000;

export function attachLive(video: HTMLVideoElement, url: string, onReport: (report: LiveReport) => void): LiveHandle {
  const buildEngine: BuildEngine = canPlayByHls() ? buildHls : buildNative;
  let engine: Engine | null = null;
  /** Counts what was built, so that what is thrown away is not heard any more. */
  let built = 0;
  let failures = 0;
  let timer: number | undefined;
  let stand: Stand | null = null;
  let wanted = true;
  let blocked = false;
  let hasPlayed = false;

  const toEdge = () => {
    const target = seekTarget(video.currentTime, engine?.syncPositionS());
    if (target !== null) video.currentTime = target;
  };
  const play = () => {
    const mine = built;
    toEdge();
    void video.play().then(
      () => answered(mine, false),
      (error: unknown) => answered(mine, error instanceof DOMException && error.name === "NotAllowedError"),
    );
  };
  const answered = (of: number, refused: boolean) => {
    if (of !== built) return;
    blocked = refused;
    report();
  };
  const build = () => {
    window.clearTimeout(timer);
    throwAway();
    const mine = built;
    const ifMine = (then: () => void) => () => {
      if (mine === built) then();
    };
    engine = buildEngine(video, url, {
      onReady: ifMine(() => {
        if (wanted) play();
      }),
      onBack: ifMine(() => {
        if (wanted) toEdge();
      }),
      onFatal: ifMine(rebuild),
    });
  };
  const throwAway = () => {
    built += 1;
    stand = null;
    engine?.destroy();
    engine = null;
  };
  const rebuild = () => {
    throwAway();
    failures += 1;
    window.clearTimeout(timer);
    timer = window.setTimeout(build, rebuildDelay(failures));
  };
  const goOn = () => {
    if ((engine?.syncPositionS() ?? null) === null) build(); // begins at the edge
    else play();
  };

  const status = (): LiveStatus =>
    liveStatus({
      wanted,
      blocked,
      hasPlayed,
      built: engine !== null,
      ready: video.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA,
      paused: video.paused,
    });
  const report = () => {
    const now = status();
    if (now === "playing") hasPlayed = true;
    onReport({ status: now, latencyS: now === "playing" ? (engine?.latencyS() ?? null) : null });
  };
  const look = () => {
    report();
    const edgeS = engine?.edgeS() ?? null;
    if (edgeS === null || video.paused || document.visibilityState !== "visible") {
      stand = null;
      return;
    }
    const seen = { positionS: video.currentTime, edgeS };
    const next = watch(stand, seen);
    if (stand && next !== stand) failures = 0; // pictures move
    stand = next;
    if (isHung(stand, seen)) rebuild();
  };
  const onReturn = () => {
    if (document.visibilityState === "visible" && wanted) goOn();
  };
  const onOnline = () => {
    failures = 0;
    rebuild();
  };

  const looking = window.setInterval(look, LOOK_EVERY_MS);
  const reported = ["playing", "pause", "waiting"] as const;
  document.addEventListener("visibilitychange", onReturn);
  window.addEventListener("online", onOnline);
  video.addEventListener("play", toEdge);
  for (const name of reported) video.addEventListener(name, report);
  build();

  return {
    toggle: () => {
      wanted = meansPlay(status());
      if (wanted) goOn();
      else video.pause();
      report();
    },
    destroy: () => {
      window.clearTimeout(timer);
      window.clearInterval(looking);
      document.removeEventListener("visibilitychange", onReturn);
      window.removeEventListener("online", onOnline);
      video.removeEventListener("play", toEdge);
      for (const name of reported) video.removeEventListener(name, report);
      throwAway();
    },
  };
}
