/**
 * Plays a live HLS stream in a video element and keeps it at the live edge: on load, on return to the
 * tab, on play and after a break. Knows nothing of React, so that no re-render ever touches the player.
 */
import Hls from "hls.js";

import { LIVE_MAX_LATENCY_S, LIVE_SYNC_S, rebuildDelay, seekTarget } from "./live-edge";

export interface LiveHandle {
  /** Seconds behind live, null when not known. */
  latency: () => number | null;
  destroy: () => void;
}

export function attachLive(video: HTMLVideoElement, url: string): LiveHandle {
  let hls: Hls | null = null;
  let failures = 0;
  let timer: number | undefined;
  let gone = false;

  const toEdge = () => {
    const target = seekTarget(video.currentTime, hls?.liveSyncPosition);
    if (target !== null) video.currentTime = target;
  };
  const play = () => {
    toEdge();
    void video.play().catch(() => undefined); // the browser may want a click first
  };
  const rebuild = () => {
    hls?.destroy();
    hls = null;
    failures += 1;
    if (!gone) timer = window.setTimeout(build, rebuildDelay(failures));
  };
  const build = () => {
    const player = new Hls({
      startPosition: -1,
      liveSyncDuration: LIVE_SYNC_S,
      liveMaxLatencyDuration: LIVE_MAX_LATENCY_S,
      backBufferLength: 10,
    });
    hls = player;
    player.on(Hls.Events.MANIFEST_PARSED, play);
    player.on(Hls.Events.LEVEL_UPDATED, () => {
      failures = 0;
    });
    player.on(Hls.Events.ERROR, (_, error) => {
      if (error.fatal && player === hls) rebuild();
    });
    player.loadSource(url);
    player.attachMedia(video);
  };
  const onReturn = () => {
    if (document.visibilityState === "visible") play();
  };
  const onOnline = () => {
    failures = 0;
    rebuild();
  };

  document.addEventListener("visibilitychange", onReturn);
  window.addEventListener("online", onOnline);
  video.addEventListener("play", toEdge);
  if (Hls.isSupported()) build();
  else video.src = url; // Safari plays HLS by itself and keeps to the edge

  return {
    latency: () => {
      const latency = hls?.latency;
      return latency === undefined || latency === 0 ? null : latency;
    },
    destroy: () => {
      gone = true;
      window.clearTimeout(timer);
      document.removeEventListener("visibilitychange", onReturn);
      window.removeEventListener("online", onOnline);
      video.removeEventListener("play", toEdge);
      hls?.destroy();
    },
  };
}
