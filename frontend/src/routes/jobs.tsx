import { useQuery } from "@tanstack/react-query";
import { createRoute, linkOptions } from "@tanstack/react-router";

import { camerasQuery } from "../api/cameras";
import { type JobFilter, type JobStatus, jobsQuery } from "../api/jobs";
import { healthQuery } from "../api/operations";
import { EmptyState } from "../components/EmptyState";
import { ErrorState } from "../components/ErrorState";
import { CameraChoice } from "../components/FilterBar";
import { PageHeader } from "../components/PageHeader";
import { Pager } from "../components/Pager";
import { Skeleton } from "../components/Skeleton";
import { JOB_STATUSES } from "../components/StateBadge";
import { Tabs } from "../components/Tabs";
import { readSearch } from "../features/jobs/job.model";
import { JobsTable } from "../features/jobs/JobsTable";
import { rootRoute } from "./root";

function Jobs() {
  const search = jobsRoute.useSearch();
  const navigate = jobsRoute.useNavigate();
  const { status, camera_id, cursor } = search;
  const jobs = useQuery(jobsQuery(search));
  const cameras = useQuery(camerasQuery).data?.items ?? [];
  const change = (next: JobFilter) => void navigate({ search: next });
  return (
    <>
      <PageHeader title="Jobs">
        <CameraChoice cameras={cameras} value={camera_id} onChange={(one) => change({ status, camera_id: one })} />
      </PageHeader>
      <Tabs label="Status" options={JOB_STATUSES} value={status} link={(one) => linkOptions({ to: "/jobs", search: { status: one, camera_id } })}
        beside={(one) => !camera_id && <HowMany status={one} />} />
      {jobs.error && !jobs.data && <ErrorState error={jobs.error} onRetry={() => void jobs.refetch()} />}
      {jobs.isPending && <Skeleton className="h-72" />}
      {jobs.data?.items.length === 0 && (
        <EmptyState icon="jobs" title={status ? `No job is ${status}` : camera_id ? "No jobs of this camera" : "No jobs yet"}>
          <p>Each finished archive becomes a job.</p>
        </EmptyState>
      )}
      {jobs.data && jobs.data.items.length > 0 && <JobsTable jobs={jobs.data.items} />}
      <Pager cursor={cursor} next={jobs.data?.next_cursor} onGo={(to) => change({ ...search, cursor: to })} />
    </>
  );
}

/** How many jobs of all cameras are in a status. */
function HowMany({ status }: { status: JobStatus }) {
  const queue = useQuery(healthQuery).data?.queue;
  if (!queue) return null;
  return <span className="text-xs text-quiet">{Object.values(queue.counts).reduce((sum, kind) => sum + (kind[status] ?? 0), 0)}</span>;
}

export const jobsRoute = createRoute({ getParentRoute: () => rootRoute, path: "/jobs", validateSearch: readSearch, component: Jobs });
