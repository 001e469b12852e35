import { useQuery } from "@tanstack/react-query";
import { createRoute } from "@tanstack/react-router";

import { jobQuery } from "../api/jobs";
import { ErrorState, Skeleton } from "../components/Notice";
import { JobResult } from "../features/jobs/JobResult";
import { rootRoute } from "./root";

function OneJob() {
  const { id } = jobRoute.useParams();
  const job = useQuery(jobQuery(Number(id)));
  if (job.error) return <ErrorState error={job.error} onRetry={() => void job.refetch()} />;
  return job.data ? <JobResult job={job.data} /> : <Skeleton className="h-96" />;
}

export const jobRoute = createRoute({ getParentRoute: () => rootRoute, path: "/jobs/$id", component: OneJob });
