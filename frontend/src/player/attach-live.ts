/**
 * Plays a live HLS stream in a video element and keeps it at the live edge: on load, on return to the
 * tab, on play and after a break. Knows nothing of React, so that no re-render ever touches the player.
 *
 * A playlist that is not there yet (the camera starts) and every other fatal error end in the same way:
 * the player is built anew, ever more calmly, until pictures move again.
 */
import Hls from "hls.js/light";

import { isHung, LIVE_MAX_LATENCY_S, LIVE_SYNC_S, rebuildDelay, seekTarget, type Stand, watch } from "./live-edge";

export type LiveStatus = "connecting" | "playing" | "waiting" | "paused";

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
  let hls: Hls | null = null;
  let failures = 0;
  let timer: number | undefined;
  let stand: Stand | null = null;
  let wanted = true;
  let hasPlayed = false;
  let broke = false;

  const toEdge = () => {
    const target = seekTarget(video.currentTime, hls?.liveSyncPosition);
    if (target !== null) video.currentTime = target;
  };
  const play = () => {
    if (!wanted) return;
    toEdge();
    void video.play().catch(() => undefined); // the browser may want a click first
  };
  const build = () => {
    const player = new Hls({
      startPosition: -1,
      liveSyncDuration: LIVE_SYNC_S,
      liveMaxLatencyDuration: LIVE_MAX_LATENCY_S,
      backBufferLength: 10,
    });
    hls = player;
    stand = null;
    broke = false;
    player.on(Hls.Events.MANIFEST_PARSED, play);
    player.on(Hls.Events.LEVEL_UPDATED, () => {
      if (broke) toEdge();
      broke = false;
    });
    player.on(Hls.Events.ERROR, (_, error) => {
      if (player !== hls) return;
      if (error.fatal) rebuild();
      else if (error.type === Hls.ErrorTypes.NETWORK_ERROR) broke = true;
    });
    player.loadSource(url);
    player.attachMedia(video);
  };
  const rebuild = () => {
    hls?.destroy();
    hls = null;
    failures += 1;
    window.clearTimeout(timer);
    timer = window.setTimeout(build, rebuildDelay(failures));
  };

  const status = (): LiveStatus => {
    if (!wanted || (video.paused && video.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA)) return "paused";
    if (!video.paused && hls && video.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA) return "playing";
    return hasPlayed ? "waiting" : "connecting";
  };
  const report = () => {
    const latency = hls?.latency ?? 0;
    const now = status();
    if (now === "playing") hasPlayed = true;
    onReport({ status: now, latencyS: now === "playing" && latency > 0 ? latency : null });
  };
  const look = () => {
    report();
    const edgeS = hls?.latestLevelDetails?.edge;
    if (edgeS === undefined || video.paused || document.visibilityState !== "visible") {
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
    if (document.visibilityState === "visible") play();
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
  if (Hls.isSupported()) build();
  else video.src = url; // Safari on phones plays HLS by itself and keeps to the edge

  return {
    toggle: () => {
      wanted = video.paused;
      if (wanted) play();
      else video.pause();
    },
    destroy: () => {
      window.clearTimeout(timer);
      window.clearInterval(looking);
      document.removeEventListener("visibilitychange", onReturn);
      window.removeEventListener("online", onOnline);
      video.removeEventListener("play", toEdge);
      for (const name of reported) video.removeEventListener(name, report);
      hls?.destroy();
      hls = null;
    },
  };
}
