import { type ReactNode, useEffect, useRef, useState } from "react";

/** A new object asks for a new seek, also to the same second. */
export interface Seek {
  second: number;
}

interface Props {
  src: string;
  label: string;
  seek: Seek;
  onTime?: (second: number) => void;
  onEnded?: () => void;
  /** What stands in the picture's place when the file cannot be played. */
  failed: ReactNode;
}

/** Plays an archive from a second on; a new `seek` moves it, and tries again what failed. */
export function ArchivePlayer({ src, label, seek, onTime, onEnded, failed }: Props) {
  const video = useRef<HTMLVideoElement>(null);
  const [failedSeek, setFailedSeek] = useState<Seek | null>(null);
  useEffect(() => {
    const element = video.current;
    if (!element) return undefined;
    const go = () => {
      element.currentTime = seek.second;
      void element.play().catch(() => undefined);
    };
    if (element.readyState >= HTMLMediaElement.HAVE_METADATA) go();
    else element.addEventListener("loadedmetadata", go, { once: true });
    return () => element.removeEventListener("loadedmetadata", go);
  }, [src, seek]);
  if (failedSeek === seek) return <div className="grid h-full place-items-center bg-black p-6 text-center text-sm text-white/75">{failed}</div>;
  return (
    <video ref={video} key={src} src={src} controls playsInline muted aria-label={label}
      className="h-full w-full bg-black object-contain" onEnded={onEnded} onError={() => setFailedSeek(seek)}
      onTimeUpdate={(event) => onTime?.(event.currentTarget.currentTime)} />
  );
}
