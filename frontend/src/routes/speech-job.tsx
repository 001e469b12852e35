import { useQuery } from "@tanstack/react-query";
import { createRoute, Link } from "@tanstack/react-router";

import { ApiError } from "../api/client";
import { speechJobQuery } from "../api/speech";
import { EmptyState } from "../components/EmptyState";
import { ErrorState } from "../components/ErrorState";
import { Skeleton } from "../components/Skeleton";
import { JobDeliveries } from "../features/deliveries/JobDeliveries";
import { SpeechJobView } from "../features/speech/SpeechJobView";
import { rootRoute } from "./root";

function OneSpeechJob() {
  const { jobId } = speechJobRoute.useParams();
  const job = useQuery(speechJobQuery(jobId));
  if (job.data) return <SpeechJobView key={job.data.job_id} job={job.data}><JobDeliveries jobId={job.data.queue_job_id} /></SpeechJobView>;
  if (job.error instanceof ApiError && job.error.status === 404) {
    return (
      <EmptyState icon="speech" title="There is no such speech job">
        <Link to="/speech" className="text-accent hover:underline">To the speech jobs</Link>
      </EmptyState>
    );
  }
  if (job.error) return <ErrorState error={job.error} onRetry={() => void job.refetch()} />;
  return <Skeleton className="h-96" />;
}

export const speechJobRoute = createRoute({ getParentRoute: () => rootRoute, path: "/speech/$jobId", component: OneSpeechJob });
