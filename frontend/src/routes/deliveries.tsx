import { useQuery } from "@tanstack/react-query";
import { createRoute, linkOptions } from "@tanstack/react-router";

import { callbacksQuery } from "../api/callbacks";
import { EmptyState } from "../components/EmptyState";
import { ErrorState } from "../components/ErrorState";
import { PageHeader } from "../components/PageHeader";
import { Pager } from "../components/Pager";
import { Skeleton } from "../components/Skeleton";
import { CALLBACK_STATES } from "../components/StateBadge";
import { Tabs } from "../components/Tabs";
import { Button } from "../components/ui/Button";
import { DeliveriesTable } from "../features/deliveries/DeliveriesTable";
import { type DeliverySearch, readSearch } from "../features/deliveries/deliveries.model";
import { rootRoute } from "./root";

function Deliveries() {
  const search = deliveriesRoute.useSearch();
  const navigate = deliveriesRoute.useNavigate();
  const { state, job_id, cursor } = search;
  const callbacks = useQuery(callbacksQuery({ state: state && [state], job_id, cursor }));
  const change = (next: DeliverySearch) => void navigate({ search: next });
  return (
    <>
      <PageHeader title="Deliveries" below={<p className="mt-0.5 text-sm text-quiet">What other servers were told of jobs, and whether they took it.</p>}>
        {job_id !== undefined && <Button icon="close" aria-label={`All jobs, not only ${job_id}`} onClick={() => change({ state })}>{`Job #${job_id}`}</Button>}
      </PageHeader>
      <Tabs label="State" options={CALLBACK_STATES} value={state} link={(one) => linkOptions({ to: "/deliveries", search: { state: one, job_id } })} />
      {callbacks.error && !callbacks.data && <ErrorState error={callbacks.error} onRetry={() => void callbacks.refetch()} />}
      {callbacks.isPending && <Skeleton className="h-72" />}
      {callbacks.data?.items.length === 0 && (
        <EmptyState icon="footage" title={state || job_id !== undefined ? "No delivery is like that" : "Nobody was told of anything yet"}>
          <p>{state === "dead" ? "What could not be delivered within a day comes here." : "Progress and results of jobs that somebody wants to hear of come here."}</p>
        </EmptyState>
      )}
      {callbacks.data && callbacks.data.items.length > 0 && <DeliveriesTable callbacks={callbacks.data.items} />}
      <Pager cursor={cursor} next={callbacks.data?.next_cursor} onGo={(to) => change({ ...search, cursor: to })} />
    </>
  );
}

export const deliveriesRoute = createRoute({ getParentRoute: () => rootRoute, path: "/deliveries", validateSearch: readSearch, component: Deliveries });
