import { useQuery } from "@tanstack/react-query";
import { createRoute } from "@tanstack/react-router";

import { camerasQuery } from "../api/cameras";
import { incidentsQuery } from "../api/incidents";
import { EmptyState } from "../components/EmptyState";
import { ErrorState } from "../components/ErrorState";
import { PageHeader } from "../components/PageHeader";
import { Pager } from "../components/Pager";
import { Skeleton } from "../components/Skeleton";
import { useSiteZone } from "../components/useSiteZone";
import { IncidentFilters } from "../features/incidents/IncidentFilters";
import { IncidentReview } from "../features/incidents/IncidentReview";
import { filterOf, type IncidentSearch, isFiltered, readSearch } from "../features/incidents/incidents.model";
import { PrecisionTable } from "../features/incidents/PrecisionTable";
import { rootRoute } from "./root";

function Incidents() {
  const zone = useSiteZone();
  return (
    <>
      <PageHeader title="Incidents" beside={zone !== null && <span className="text-sm text-quiet">{`times of ${zone}`}</span>} />
      {zone === null ? <Skeleton className="h-72" /> : <InZone zone={zone} />}
    </>
  );
}

function InZone({ zone }: { zone: string }) {
  const search = incidentsRoute.useSearch();
  const navigate = incidentsRoute.useNavigate();
  const filter = filterOf(search, zone);
  const incidents = useQuery(incidentsQuery(filter));
  const cameras = useQuery(camerasQuery).data?.items ?? [];
  const change = (changed: Partial<IncidentSearch>) =>
    void navigate({ search: (old) => ({ ...old, cursor: undefined, incident: undefined, ...changed }), replace: "text" in changed, resetScroll: false });
  const open = (incident: number | undefined) => void navigate({ search: (old) => ({ ...old, incident }), replace: true, resetScroll: false });
  const items = incidents.data?.items ?? [];
  const { camera_id, since, until } = filter;
  const precision = <PrecisionTable filter={{ camera_id, since, until }} cameras={cameras} />;
  return (
    <>
      <IncidentFilters search={search} cameras={cameras} onChange={change} />
      {incidents.error && !incidents.data && <ErrorState error={incidents.error} onRetry={() => void incidents.refetch()} />}
      {incidents.isPending && <Skeleton className="h-72" />}
      {incidents.data && items.length === 0 && search.incident === undefined ? (
        <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,1fr)_minmax(0,28rem)]">
          <EmptyState icon="incidents" title={isFiltered(search) ? "No incident is like that" : "No incidents yet"}>
            <p>{isFiltered(search) ? "Fewer filters show more." : "What is found in finished archives comes here."}</p>
          </EmptyState>
          {precision}
        </div>
      ) : (
        incidents.data && <IncidentReview items={items} opened={search.incident} cameras={cameras} zone={zone} onOpen={open} beside={precision} />
      )}
      <Pager className="justify-start" cursor={search.cursor} next={incidents.data?.next_cursor}
        onGo={(cursor) => void navigate({ search: { ...search, cursor, incident: undefined }, resetScroll: cursor !== undefined })} />
    </>
  );
}

export const incidentsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/incidents",
  validateSearch: readSearch,
  component: Incidents,
});
