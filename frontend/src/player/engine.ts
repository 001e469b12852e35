/**
 * One attempt at playing a live stream in a video element: built, asked where it is, and thrown away at
 * the first error that it does not get over by itself.
 */
export interface Engine {
  /** Where a viewer should be now, s on the video's own clock; null when not known (Chromium's own HLS never says). */
  syncPositionS: () => number | null;
  /** How far the stream has come, s on any clock; null when not known. */
  edgeS: () => number | null;
  latencyS: () => number | null;
  destroy: () => void;
}

export interface EngineEvents {
  /** There is something to play. */
  onReady: () => void;
  /** The stream is there again after a break that the engine got over by itself. */
  onBack: () => void;
  /** It cannot go on. */
  onFatal: () => void;
}

export type BuildEngine = (video: HTMLVideoElement, url: string, events: EngineEvents) => Engine;
