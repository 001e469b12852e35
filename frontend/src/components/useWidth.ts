import { type RefObject, useEffect, useState } from "react";

/** How wide an element is, px; 0 until it is known. */
export function useWidth(element: RefObject<HTMLElement | null>): number {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    if (!element.current) return undefined;
    const seen = new ResizeObserver((entries) => setWidth(Math.floor(entries.at(-1)?.contentRect.width ?? 0)));
    seen.observe(element.current);
    return () => seen.disconnect();
  }, [element]);
  return width;
}
