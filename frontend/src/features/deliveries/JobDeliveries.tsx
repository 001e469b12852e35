import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { callbacksQuery } from "../../api/callbacks";
import { Skeleton } from "../../components/Skeleton";
import { DeliveriesTable } from "./DeliveriesTable";

const SHOWN = 8;

/** The last that was told of one job, without progress that newer progress has replaced. */
export function JobDeliveries({ jobId }: { jobId: number }) {
  const { data } = useQuery(callbacksQuery({ job_id: jobId, state: ["pending", "delivered", "dead"], limit: SHOWN }));
  return (
    <section aria-label="Deliveries of this job" className="min-w-0">
      <div className="mb-2 flex items-baseline justify-between gap-3">
        <h2 className="text-sm font-semibold">Deliveries</h2>
        <Link to="/deliveries" search={{ job_id: jobId }} className="text-sm text-accent hover:underline">All of this job</Link>
      </div>
      {!data && <Skeleton className="h-32" />}
      {data?.items.length === 0 && <p className="rounded-xl border border-line bg-surface px-4 py-6 text-center text-sm text-quiet">Nobody was told of this job yet.</p>}
      {data && data.items.length > 0 && <DeliveriesTable callbacks={data.items} hasJobs={false} />}
    </section>
  );
}
