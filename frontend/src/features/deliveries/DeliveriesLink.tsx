import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { deadCountQuery } from "../../api/callbacks";

/** The way to the deliveries, and how many of them were given up. */
export function DeliveriesLink() {
  const dead = useQuery(deadCountQuery).data ?? "0";
  return (
    <Link to="/deliveries" search={dead === "0" ? {} : { state: "dead" }}
      className="inline-flex min-h-8 items-center gap-2 rounded-md border border-line bg-surface px-3 text-sm font-medium transition-colors hover:bg-raised">
      Deliveries
      {dead !== "0" && <span className="rounded-full bg-bad/10 px-1.5 text-xs text-bad">{`${dead} dead`}</span>}
    </Link>
  );
}
