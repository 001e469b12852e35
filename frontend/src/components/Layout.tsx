import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";

import type { Connection } from "../api/live";
import { healthQuery, logOut, type Session } from "../api/operations";
import { words } from "../lib/format";
import { applyTheme, storedTheme, THEMES } from "./theme";
import { Badge } from "./ui/Badge";

const PAGES = [
  { to: "/", label: "Cameras" },
  { to: "/jobs", label: "Jobs" },
  { to: "/workers", label: "Workers" },
] as const;

export function Layout({ session, connection, children }: { session: Session; connection: Connection; children: ReactNode }) {
  return (
    <>
      <header className="sticky top-0 z-10 border-b border-line bg-surface">
        <div className="mx-auto flex max-w-7xl flex-wrap items-center gap-x-6 gap-y-2 px-4 py-2.5">
          <Link to="/" className="flex items-center gap-2 font-semibold">
            <img src="/ui/icon.svg" alt="" className="size-6" />
            VAP
          </Link>
          <nav aria-label="Pages" className="flex gap-1">
            {PAGES.map((page) => (
              <Link key={page.to} to={page.to} activeOptions={{ exact: page.to === "/" }}
                className="rounded-md px-2.5 py-1 text-sm text-quiet hover:bg-raised"
                activeProps={{ className: "bg-raised !text-ink font-medium", "aria-current": "page" }}>
                {page.label}
              </Link>
            ))}
          </nav>
          <div className="ml-auto flex flex-wrap items-center gap-2">
            <HealthBadge />
            {connection === "lost" && <Badge tone="warn">reconnecting</Badge>}
            <ThemeButton />
            {session.name !== "local" && (
              <button type="button" className="text-xs text-quiet underline"
                onClick={() => void logOut().then(() => window.location.reload())}>
                Log out
              </button>
            )}
          </div>
        </div>
      </header>
      <main className="mx-auto max-w-7xl px-4 py-5">{children}</main>
    </>
  );
}

function HealthBadge() {
  const health = useQuery(healthQuery);
  if (health.error) return <Badge tone="bad">server unreachable</Badge>;
  if (!health.data) return null;
  const { status, queue, workers_alive, problems } = health.data;
  const waiting = queue ? `${queue.pending} waiting, ${queue.processing} running` : "queue unknown";
  const facts = `${waiting}; ${workers_alive ?? 0} workers; loop delay ${health.data.event_loop_delay_ms.toFixed(0)} ms`;
  if (status === "ok") return <Badge tone="good" title={facts}>{waiting}</Badge>;
  return <Badge tone="bad" title={facts}>{problems.map(words).join(", ") || "degraded"}</Badge>;
}

function ThemeButton() {
  const [theme, setTheme] = useState(storedTheme);
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "system";
  return (
    <button type="button" aria-label={`Theme: ${theme}. Change to ${next}.`} title={`Theme: ${theme}`}
      className="rounded-md border border-line px-2 py-1 text-xs text-quiet hover:bg-raised"
      onClick={() => {
        applyTheme(next);
        setTheme(next);
      }}>
      {theme}
    </button>
  );
}
