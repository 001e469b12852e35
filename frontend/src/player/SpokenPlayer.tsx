import { type ReactNode, type Ref, useEffect, useImperativeHandle, useRef, useState } from "react";

import type { Clock } from "./clock";

export interface PlayerHandle {
  seek: (second: number) => void;
}

interface Props {
  src: string;
  label: string;
  clock: Clock;
  handle: Ref<PlayerHandle>;
  /** What stands in the picture's place when the file cannot be played. */
  failed: ReactNode;
}

/** Plays a video with its sound (or sound alone), and tells a clock of every picture where it is. */
export function SpokenPlayer({ src, label, clock, handle, failed }: Props) {
  const video = useRef<HTMLVideoElement>(null);
  const [hasFailed, setHasFailed] = useState(false);
  const [isSoundOnly, setIsSoundOnly] = useState(false);
  useImperativeHandle(handle, () => ({
    seek: (second) => {
      if (video.current) video.current.currentTime = second;
      clock.tell(second);
    },
  }), [clock]);
  useEffect(() => {
    const element = video.current;
    if (!element) return undefined;
    let frame = 0;
    const tell = () => clock.tell(element.currentTime);
    // "timeupdate" comes four times a second: too seldom for words
    const each = () => {
      tell();
      frame = element.paused || element.ended ? 0 : requestAnimationFrame(each);
    };
    const play = () => {
      if (frame === 0) each();
    };
    element.addEventListener("play", play);
    element.addEventListener("seeking", tell);
    element.addEventListener("timeupdate", tell);
    return () => {
      cancelAnimationFrame(frame);
      element.removeEventListener("play", play);
      element.removeEventListener("seeking", tell);
      element.removeEventListener("timeupdate", tell);
    };
  }, [clock, src, hasFailed]);
  return (
    <div className={`w-full overflow-hidden rounded-xl border border-line bg-black ${isSoundOnly ? "h-20" : "aspect-video max-h-[55dvh]"}`}>
      {hasFailed ? (
        <div className="grid h-full place-items-center p-6 text-center text-sm text-white/75">{failed}</div>
      ) : (
        <video ref={video} src={src} controls playsInline preload="metadata" aria-label={label} className="h-full w-full object-contain"
          onLoadedMetadata={(event) => setIsSoundOnly(event.currentTarget.videoWidth === 0)} onError={() => setHasFailed(true)} />
      )}
    </div>
  );
}
