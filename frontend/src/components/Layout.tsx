import { Link, useLocation } from "@tanstack/react-router";
import type { ReactNode } from "react";

import type { Connection } from "../api/live";
import { logOut, type Session } from "../api/operations";
import { ConnectionBadge, HealthBadge } from "./Vitals";
import { ThemeButton } from "./ThemeButton";
import { Button } from "./ui/Button";
import { Icon } from "./ui/Icon";

const PAGES = [
  { to: "/", under: "/cameras", label: "Cameras", icon: "camera" },
  { to: "/incidents", under: "/incidents", label: "Incidents", icon: "incidents" },
  { to: "/day", under: "/day", label: "Day", icon: "day" },
  { to: "/jobs", under: "/jobs", label: "Jobs", icon: "jobs" },
  { to: "/speech", under: "/speech", label: "Speech", icon: "speech" },
  { to: "/workers", under: "/workers", label: "Workers", icon: "workers" },
  { to: "/models", under: "/models", label: "Models", icon: "models" },
] as const;

/** What every page has around it: the way to the others, how the server does, the theme. */
export function Layout({ session, connection, children }: { session: Session; connection: Connection; children: ReactNode }) {
  const here = useLocation({ select: (location) => location.pathname });
  const isOn = ({ to, under }: (typeof PAGES)[number]) => here === to || here === under || here.startsWith(`${under}/`);
  return (
    <>
      <a href="#content" className="sr-only rounded-md bg-accent px-3 py-1.5 text-on-accent focus:not-sr-only focus:fixed focus:top-2 focus:left-2 focus:z-20">
        Skip to the content
      </a>
      <header className="sticky top-0 z-10 border-b border-line bg-surface">
        <div className="mx-auto flex max-w-[88rem] flex-wrap items-center gap-x-5 gap-y-1.5 px-4 py-2">
          <Link to="/" className="flex items-center gap-2 rounded-md font-semibold tracking-tight">
            <img src="/ui/icon.svg" alt="" className="size-6" />
            VAP
          </Link>
          <nav aria-label="Pages" className="flex gap-0.5 max-lg:order-last max-lg:w-full">
            {PAGES.map((page) => (
              <Link key={page.to} to={page.to} aria-current={isOn(page) ? "page" : undefined}
                className="flex min-h-8 items-center justify-center gap-1.5 rounded-md px-2.5 text-sm text-quiet transition-colors hover:bg-raised hover:text-ink aria-[current=page]:bg-raised aria-[current=page]:font-medium aria-[current=page]:text-ink max-sm:flex-auto max-sm:flex-col max-sm:gap-0 max-sm:px-0 max-sm:py-1 max-sm:text-[11px]">
                <Icon name={page.icon} />
                {page.label}
              </Link>
            ))}
          </nav>
          <div className="ml-auto flex items-center gap-1.5">
            <HealthBadge />
            <ConnectionBadge connection={connection} />
            <ThemeButton />
            {session.name !== "local" && (
              <Button look="quiet" icon="leave" aria-label="Log out" title="Log out"
                onClick={() => void logOut().finally(() => window.location.reload())} />
            )}
          </div>
        </div>
      </header>
      <main id="content" tabIndex={-1} className="mx-auto max-w-[88rem] px-4 py-5 outline-none">{children}</main>
    </>
  );
}
