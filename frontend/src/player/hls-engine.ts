/** Plays by hls.js, where the browser has MediaSource. */
import Hls from "hls.js/light";

import type { Engine, EngineEvents } from "./engine";
import { LIVE_MAX_LATENCY_S, LIVE_SYNC_S } from "./live-edge";

export const canPlayByHls = (): boolean => Hls.isSupported();

export function buildHls(video: HTMLVideoElement, url: string, { onReady, onBack, onFatal }: EngineEvents): Engine {
  const hls = new Hls({
    startPosition: -1,
    liveSyncDuration: LIVE_SYNC_S,
    liveMaxLatencyDuration: LIVE_MAX_LATENCY_S,
    backBufferLength: 10,
  });
  let broke = false;
  hls.on(Hls.Events.MANIFEST_PARSED, onReady);
  hls.on(Hls.Events.LEVEL_UPDATED, () => {
    if (broke) onBack();
    broke = false;
  });
  hls.on(Hls.Events.ERROR, (_, error) => {
    if (error.fatal) onFatal();
    else if (error.type === Hls.ErrorTypes.NETWORK_ERROR) broke = true;
  });
  hls.loadSource(url);
  hls.attachMedia(video);
  return {
    syncPositionS: () => hls.liveSyncPosition,
    edgeS: () => hls.latestLevelDetails?.edge ?? null,
    latencyS: () => (hls.latency > 0 ? hls.latency : null),
    destroy: () => hls.destroy(),
  };
}
