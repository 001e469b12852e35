import { useQuery } from "@tanstack/react-query";
import { createRoute } from "@tanstack/react-router";

import { workersQuery } from "../api/jobs";
import { EmptyState, ErrorState, Skeleton } from "../components/Notice";
import { WorkersTable } from "../features/workers/WorkersTable";
import { rootRoute } from "./root";

function Workers() {
  const workers = useQuery(workersQuery);
  return (
    <>
      <h1 className="mb-4 text-xl font-semibold">Workers</h1>
      {workers.error && <ErrorState error={workers.error} onRetry={() => void workers.refetch()} />}
      {workers.isPending && <Skeleton className="h-40" />}
      {workers.data?.items.length === 0 && (
        <EmptyState title="No worker has been started">
          <p>
            Archives wait until one is: <code>python analysis_worker.py</code>
          </p>
        </EmptyState>
      )}
      {workers.data && workers.data.items.length > 0 && <WorkersTable workers={workers.data.items} />}
    </>
  );
}

export const workersRoute = createRoute({ getParentRoute: () => rootRoute, path: "/workers", component: Workers });
