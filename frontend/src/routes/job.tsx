import { useQuery } from "@tanstack/react-query";
import { createRoute, Link } from "@tanstack/react-router";

import { ApiError } from "../api/client";
import { jobQuery } from "../api/jobs";
import { EmptyState } from "../components/EmptyState";
import { ErrorState } from "../components/ErrorState";
import { Skeleton } from "../components/Skeleton";
import { JobResult } from "../features/jobs/JobResult";
import { rootRoute } from "./root";

function OneJob() {
  const { id } = jobRoute.useParams();
  const job = useQuery(jobQuery(Number(id)));
  if (job.data) return <JobResult key={job.data.id} job={job.data} />;
  if (job.error instanceof ApiError && [400, 404].includes(job.error.status)) {
    return (
      <EmptyState icon="jobs" title="There is no such job">
        <Link to="/jobs" className="text-accent hover:underline">To the jobs</Link>
      </EmptyState>
    );
  }
  if (job.error) return <ErrorState error={job.error} onRetry={() => void job.refetch()} />;
  return <Skeleton className="h-96" />;
}

export const jobRoute = createRoute({ getParentRoute: () => rootRoute, path: "/jobs/$id", component: OneJob });
