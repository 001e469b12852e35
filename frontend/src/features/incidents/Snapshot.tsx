import { useState } from "react";

import { Icon } from "../../components/ui/Icon";

/** The picture of an incident's strongest moment, and what stands there where there is none. */
export function Snapshot({ url, className }: { url: string | null; className: string }) {
  const [failed, setFailed] = useState<string | null>(null);
  if (url === null || failed === url) {
    return (
      <span className={`hatched grid place-items-center ${className}`}>
        <span className="flex items-center gap-1 rounded-md bg-surface px-1.5 py-0.5 text-[11px] text-quiet">
          <Icon name="camera" className="size-3.5" />
          no picture
        </span>
      </span>
    );
  }
  return <img src={url} alt="" loading="lazy" className={`bg-black object-cover ${className}`} onError={() => setFailed(url)} />;
}
