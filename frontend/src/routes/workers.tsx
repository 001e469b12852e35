import { useQuery } from "@tanstack/react-query";
import { createRoute } from "@tanstack/react-router";

import { workersQuery } from "../api/jobs";
import { EmptyState } from "../components/EmptyState";
import { ErrorState } from "../components/ErrorState";
import { PageHeader } from "../components/PageHeader";
import { Skeleton } from "../components/Skeleton";
import { WorkersTable } from "../features/workers/WorkersTable";
import { rootRoute } from "./root";

function Workers() {
  const workers = useQuery(workersQuery);
  const items = workers.data?.items ?? [];
  const alive = items.filter((worker) => worker.alive).length;
  return (
    <>
      <PageHeader title="Workers" beside={items.length > 0 && <span className="text-sm text-quiet">{`${alive} alive`}</span>} />
      {workers.error && !workers.data && <ErrorState error={workers.error} onRetry={() => void workers.refetch()} />}
      {workers.isPending && <Skeleton className="h-40" />}
      {workers.data && items.length === 0 && (
        <EmptyState icon="workers" title="No worker has been started">
          <p>
            Finished archives wait until one is: <code className="rounded bg-raised px-1.5 py-0.5 text-ink">python analysis_worker.py</code>
          </p>
        </EmptyState>
      )}
      {items.length > 0 && <WorkersTable workers={items} />}
    </>
  );
}

export const workersRoute = createRoute({ getParentRoute: () => rootRoute, path: "/workers", component: Workers });
