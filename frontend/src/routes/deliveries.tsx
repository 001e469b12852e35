import { useQuery } from "@tanstack/react-query";
import { createRoute, Link } from "@tanstack/react-router";

import { callbacksQuery, type CallbackState } from "../api/callbacks";
import { EmptyState } from "../components/EmptyState";
import { ErrorState } from "../components/ErrorState";
import { PageHeader } from "../components/PageHeader";
import { Skeleton } from "../components/Skeleton";
import { CALLBACK_STATES } from "../components/StateBadge";
import { Button } from "../components/ui/Button";
import { DeliveriesTable } from "../features/deliveries/DeliveriesTable";
import { type DeliverySearch, readSearch } from "../features/deliveries/deliveries.model";
import { title } from "../lib/format";
import { rootRoute } from "./root";

function Deliveries() {
  const search = deliveriesRoute.useSearch();
  const navigate = deliveriesRoute.useNavigate();
  const { state, job_id, cursor } = search;
  const callbacks = useQuery(callbacksQuery({ state: state && [state], job_id, cursor }));
  const change = (next: DeliverySearch) => void navigate({ search: next });
  const more = callbacks.data?.next_cursor;
  return (
    <>
      <PageHeader title="Deliveries" below={<p className="mt-0.5 text-sm text-quiet">What other servers were told of jobs, and whether they took it.</p>}>
        {job_id !== undefined && <Button icon="close" aria-label={`All jobs, not only ${job_id}`} onClick={() => change({ state })}>{`Job #${job_id}`}</Button>}
      </PageHeader>
      <StateTabs search={search} />
      {callbacks.error && !callbacks.data && <ErrorState error={callbacks.error} onRetry={() => void callbacks.refetch()} />}
      {callbacks.isPending && <Skeleton className="h-72" />}
      {callbacks.data?.items.length === 0 && (
        <EmptyState icon="footage" title={state || job_id !== undefined ? "No delivery is like that" : "Nobody was told of anything yet"}>
          <p>{state === "dead" ? "What could not be delivered within a day comes here." : "Progress and results of jobs that somebody wants to hear of come here."}</p>
        </EmptyState>
      )}
      {callbacks.data && callbacks.data.items.length > 0 && <DeliveriesTable callbacks={callbacks.data.items} />}
      <div className="mt-4 flex justify-end gap-2">
        {cursor !== undefined && <Button onClick={() => change({ ...search, cursor: undefined })}>Newest</Button>}
        {more && <Button onClick={() => change({ ...search, cursor: more })}>Older</Button>}
      </div>
    </>
  );
}

function StateTabs({ search }: { search: DeliverySearch }) {
  const look = (isOn: boolean) =>
    `flex min-h-8 items-center rounded-md px-2.5 text-sm whitespace-nowrap transition-colors hover:bg-raised ${isOn ? "bg-raised font-medium text-ink" : "text-quiet"}`;
  const states: (CallbackState | undefined)[] = [undefined, ...CALLBACK_STATES];
  return (
    <nav aria-label="State" className="mb-3 flex flex-wrap gap-0.5">
      {states.map((state) => (
        <Link key={state ?? "all"} to="/deliveries" search={{ state, job_id: search.job_id }} className={look(search.state === state)}
          activeOptions={{ exact: true, includeSearch: true }}>
          {state ? title(state) : "All"}
        </Link>
      ))}
    </nav>
  );
}

export const deliveriesRoute = createRoute({ getParentRoute: () => rootRoute, path: "/deliveries", validateSearch: readSearch, component: Deliveries });
