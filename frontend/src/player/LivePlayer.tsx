/** A live view. The player is built once for each URL, and only while the view is on screen. */
import { type ReactNode, useEffect, useRef, useState } from "react";

import { attachLive, type LiveHandle, type LiveReport } from "./attach-live";

interface Props {
  url: string;
  label: string;
  onReport: (report: LiveReport) => void;
  /** What lies over the picture, with the player's own state and handle. */
  children?: (report: LiveReport, toggle: () => void) => ReactNode;
}

const UNKNOWN: LiveReport = { status: "connecting", latencyS: null };

export function LivePlayer({ url, label, onReport, children }: Props) {
  const video = useRef<HTMLVideoElement>(null);
  const [handle, setHandle] = useState<LiveHandle | null>(null);
  const [report, setReport] = useState(UNKNOWN);
  const tell = useRef(onReport);
  useEffect(() => {
    tell.current = onReport;
  });
  useEffect(() => {
    const element = video.current;
    if (!element) return undefined;
    let attached: LiveHandle | null = null;
    const say = (next: LiveReport) => {
      setReport(next);
      tell.current(next);
    };
    const stop = () => {
      if (!attached) return;
      attached.destroy();
      attached = null;
      say(UNKNOWN); // what it said last is not true any more
    };
    const seen = new IntersectionObserver((entries) => {
      if (entries.at(-1)?.isIntersecting) attached ??= attachLive(element, url, say);
      else stop();
      setHandle(attached);
    });
    seen.observe(element);
    return () => {
      seen.disconnect();
      stop();
    };
  }, [url]);
  return (
    <div className="relative h-full w-full bg-black">
      <video ref={video} className="h-full w-full object-contain" muted playsInline aria-label={label} />
      {children?.(report, () => handle?.toggle())}
    </div>
  );
}
