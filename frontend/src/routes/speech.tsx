import { useQuery } from "@tanstack/react-query";
import { createRoute } from "@tanstack/react-router";

import { speechJobsQuery } from "../api/speech";
import { EmptyState } from "../components/EmptyState";
import { ErrorState } from "../components/ErrorState";
import { PageHeader } from "../components/PageHeader";
import { Pager } from "../components/Pager";
import { Skeleton } from "../components/Skeleton";
import { useMayChange } from "../components/useMayChange";
import { DeliveriesLink } from "../features/deliveries/DeliveriesLink";
import { AddVideo } from "../features/speech/AddVideo";
import { SpeechTable } from "../features/speech/SpeechTable";
import { asText } from "../lib/search";
import { rootRoute } from "./root";

interface Search {
  cursor?: string | undefined;
}

function Speech() {
  const { cursor } = speechRoute.useSearch();
  const navigate = speechRoute.useNavigate();
  const jobs = useQuery(speechJobsQuery(cursor));
  const mayChange = useMayChange();
  return (
    <>
      <PageHeader title="Speech" below={<p className="mt-0.5 text-sm text-quiet">Who says what in a video, how loud, and how high.</p>}>
        <DeliveriesLink />
      </PageHeader>
      <div className="space-y-4">
        {mayChange && <AddVideo />}
        {jobs.error && !jobs.data && <ErrorState error={jobs.error} onRetry={() => void jobs.refetch()} />}
        {jobs.isPending && <Skeleton className="h-72" />}
        {jobs.data?.items.length === 0 && (
          <EmptyState icon="speech" title="No videos yet">
            <p>Videos that are sent here, and those that other programs have transcribed, come here.</p>
          </EmptyState>
        )}
        {jobs.data && jobs.data.items.length > 0 && <SpeechTable jobs={jobs.data.items} />}
      </div>
      <Pager cursor={cursor} next={jobs.data?.next_cursor} onGo={(to) => void navigate({ search: { cursor: to } })} />
    </>
  );
}

export const speechRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/speech",
  validateSearch: (search: Record<string, unknown>): Search => ({ cursor: asText(search.cursor) }),
  component: Speech,
});
