import { useEffect, useRef } from "react";

import type { Segment } from "../../api/cameras";

interface Props {
  segment: Segment;
  second: number;
  onMoment: (moment: number) => void;
  onEnded: () => void;
}

/** Plays an archive from a given second. */
export function ArchivePlayer({ segment, second, onMoment, onEnded }: Props) {
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const element = video.current;
    if (!element) return undefined;
    const seek = () => {
      element.currentTime = second;
      void element.play().catch(() => undefined);
    };
    if (element.readyState >= 1) seek();
    else element.addEventListener("loadedmetadata", seek, { once: true });
    return () => element.removeEventListener("loadedmetadata", seek);
  }, [segment.video_url, second]);
  return (
    <video ref={video} src={segment.video_url} controls playsInline muted className="h-full w-full bg-black object-contain"
      aria-label="Archive" onEnded={onEnded}
      onTimeUpdate={(event) => onMoment(Date.parse(segment.started_at) + event.currentTarget.currentTime * 1000)} />
  );
}
