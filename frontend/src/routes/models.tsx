import { useQuery } from "@tanstack/react-query";
import { createRoute } from "@tanstack/react-router";

import { camerasQuery } from "../api/cameras";
import { backendsQuery, costsQuery } from "../api/scene";
import { ErrorState } from "../components/ErrorState";
import { PageHeader } from "../components/PageHeader";
import { Skeleton } from "../components/Skeleton";
import { useNow } from "../components/useNow";
import { useSiteZone } from "../components/useSiteZone";
import { BackendCard } from "../features/models/BackendCard";
import { CostsTable } from "../features/models/CostsTable";
import { dayIn } from "../lib/zone";
import { rootRoute } from "./root";

function Models() {
  const backends = useQuery(backendsQuery);
  const costs = useQuery(costsQuery);
  const cameras = useQuery(camerasQuery).data?.items ?? [];
  const zone = useSiteZone();
  const now = useNow(60_000);
  return (
    <>
      <PageHeader title="Models" below={<p className="mt-0.5 text-sm text-quiet">Who understands the archives, and where footage goes for it.</p>} />
      <div className="space-y-4">
        {backends.error && !backends.data && <ErrorState error={backends.error} onRetry={() => void backends.refetch()} />}
        <div className="grid items-start gap-4 md:grid-cols-2 xl:grid-cols-3">
          {(backends.isPending || zone === null) && [1, 2, 3].map((n) => <Skeleton key={n} className="h-64" />)}
          {zone !== null && backends.data?.items.map((backend) => <BackendCard key={backend.name} backend={backend} cameras={cameras} zone={zone} />)}
        </div>
        {costs.isPending && <Skeleton className="h-40" />}
        {costs.error && !costs.data && <ErrorState error={costs.error} onRetry={() => void costs.refetch()} />}
        {costs.data && <CostsTable costs={costs.data} cameras={cameras} today={dayIn(costs.data.timezone, now)} />}
      </div>
    </>
  );
}

export const modelsRoute = createRoute({ getParentRoute: () => rootRoute, path: "/models", component: Models });
