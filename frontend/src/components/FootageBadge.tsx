/** Says where a camera's footage goes; nothing where it stays with VAP itself. */
import { useQuery } from "@tanstack/react-query";

import type { Camera } from "../api/cameras";
import { type Backend, backendsQuery } from "../api/scene";
import { awayAfter, BACKEND_NAMES, backendOf, whereTo } from "./backends.model";
import { Badge } from "./ui/Badge";

export function FootageBadge({ camera }: { camera: Pick<Camera, "scene_backend"> }) {
  const backends = useQuery(backendsQuery).data?.items ?? [];
  const backend = backendOf(camera, backends);
  if (!backend) return null;
  return (
    <>
      {backend.name !== "local" && <One backend={backend} />}
      {awayAfter(backend, backends).map((other) => <One key={other.name} backend={other} after={backend} />)}
    </>
  );
}

function One({ backend, after }: { backend: Backend; after?: Backend }) {
  const name = `${after ? "else " : ""}${BACKEND_NAMES[backend.name]}`;
  if (!backend.configured) {
    return <Badge tone="warn" title={`${backend.missing ?? ""}. Nothing is sent there.`}>{`${name} · not set up`}</Badge>;
  }
  const when = after ? `When ${BACKEND_NAMES[after.name]} cannot answer, ` : "For scene analysis, ";
  return (
    <span className="inline-flex max-w-full min-w-0 [&>span]:min-w-0 [&>span]:whitespace-normal [&>span]:wrap-anywhere">
      <Badge tone={backend.leaves_machine ? "info" : "quiet"} title={`${when}${whereTo(backend)}.`}>
        {`${name} · ${backend.leaves_machine ? (backend.endpoint ?? "") : "this machine"}`}
      </Badge>
    </span>
  );
}
