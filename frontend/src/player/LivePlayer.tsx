/** A live view. Mounted once for each URL; plays while it is on screen. */
import { useEffect, useRef } from "react";

import { attachLive } from "./attach-live";

const LATENCY_EVERY_MS = 1000;

interface Props {
  url: string;
  label: string;
  onLatency: (seconds: number | null) => void;
  controls?: boolean;
}

export function LivePlayer({ url, label, onLatency, controls = false }: Props) {
  const video = useRef<HTMLVideoElement>(null);
  const report = useRef(onLatency);
  useEffect(() => {
    report.current = onLatency;
  });
  useEffect(() => {
    const element = video.current;
    if (!element) return undefined;
    let stop: (() => void) | null = null;
    const start = () => {
      const handle = attachLive(element, url);
      const timer = window.setInterval(() => report.current(handle.latency()), LATENCY_EVERY_MS);
      return () => {
        window.clearInterval(timer);
        handle.destroy();
      };
    };
    const seen = new IntersectionObserver(([entry]) => {
      if (entry?.isIntersecting) stop ??= start();
      else {
        stop?.();
        stop = null;
      }
    });
    seen.observe(element);
    return () => {
      seen.disconnect();
      stop?.();
    };
  }, [url]);
  return (
    <video ref={video} className="h-full w-full bg-black object-contain" muted playsInline controls={controls}
      aria-label={label} />
  );
}
