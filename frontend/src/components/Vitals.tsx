/** How the server does, and whether this page hears of it as it happens. */
import { useQuery } from "@tanstack/react-query";

import type { Connection } from "../api/live";
import { type Health, healthQuery } from "../api/operations";
import { bytes, type Tone, words } from "../lib/format";
import { Badge } from "./ui/Badge";

const CONNECTION: Record<Connection, { tone: Tone; label: string; title: string }> = {
  connecting: { tone: "quiet", label: "connecting", title: "The event stream is being opened." },
  open: { tone: "good", label: "live", title: "What happens on the server shows here at once." },
  lost: { tone: "warn", label: "reconnecting", title: "The event stream broke off; this page tries again and asks now and then meanwhile." },
};

export function ConnectionBadge({ connection }: { connection: Connection }) {
  const { tone, label, title } = CONNECTION[connection];
  return (
    <span role="status" aria-label={`Event stream: ${label}`} className="flex">
      <Badge tone={tone} title={title}>{label}</Badge>
    </span>
  );
}

export function HealthBadge() {
  const health = useQuery(healthQuery);
  if (health.error) return <Badge tone="bad">server unreachable</Badge>;
  if (!health.data) return null;
  const { status, problems, queue } = health.data;
  if (status === "degraded") {
    return <Badge tone="bad" title={facts(health.data)}>{problems.map(words).join(", ") || "degraded"}</Badge>;
  }
  const waiting = queue?.pending ?? 0;
  return <Badge tone="good" title={facts(health.data)}>{waiting === 0 ? "healthy" : `healthy · ${waiting} waiting`}</Badge>;
}

function facts({ version, cameras, queue, workers_alive, disk, database, event_loop_delay_ms }: Health): string {
  const states = Object.entries(cameras ?? {}).map(([state, count]) => `${count} ${state}`);
  return [
    `VAP ${version}`,
    `cameras: ${states.join(", ") || "none"}`,
    queue ? `jobs: ${queue.pending} waiting, ${queue.processing} running` : "jobs: unknown",
    `workers: ${workers_alive ?? "unknown"}`,
    disk ? `disk: ${bytes(disk.free_bytes)} free, ${disk.used_percent.toFixed(0)} % used` : "disk: unknown",
    `database: ${database.dialect}, ${database.ok ? `${(database.latency_ms ?? 0).toFixed(1)} ms` : "does not answer"}`,
    `event loop held up: ${event_loop_delay_ms.toFixed(0)} ms at most`,
  ].join("\n");
}
