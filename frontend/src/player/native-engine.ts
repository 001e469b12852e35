/**
 * Leaves the playing to the browser, where it has no MediaSource but plays HLS by itself (iPhones before
 * iOS 17.1). Such a player says less: what can be sought in is all that is known of the live edge.
 */
import type { Engine, EngineEvents } from "./engine";
import { LIVE_SYNC_S } from "./live-edge";

export function buildNative(video: HTMLVideoElement, url: string, { onReady, onFatal }: EngineEvents): Engine {
  const newestS = () => (video.seekable.length > 0 ? video.seekable.end(video.seekable.length - 1) : null);
  video.addEventListener("error", onFatal);
  video.addEventListener("ended", onFatal); // a live stream has no end: the player took a break for it
  video.src = url;
  onReady(); // nothing is loaded before somebody plays
  return {
    syncPositionS: () => {
      const newest = newestS();
      return newest === null ? null : Math.max(newest - LIVE_SYNC_S, video.seekable.start(video.seekable.length - 1));
    },
    // it never says that it has given up: a picture that stands is taken for a hang
    edgeS: () => (video.readyState === HTMLMediaElement.HAVE_NOTHING ? null : performance.now() / 1000),
    latencyS: () => {
      const newest = newestS();
      return newest === null ? null : Math.max(0, newest - video.currentTime);
    },
    destroy: () => {
      video.removeEventListener("error", onFatal);
      video.removeEventListener("ended", onFatal);
      video.removeAttribute("src");
      video.load(); // or it goes on fetching
    },
  };
}
