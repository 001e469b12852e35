import { useQuery } from "@tanstack/react-query";
import { createRoute, Link } from "@tanstack/react-router";

import { camerasQuery } from "../api/cameras";
import { type JobStatus, jobsQuery } from "../api/jobs";
import { healthQuery } from "../api/operations";
import { EmptyState } from "../components/EmptyState";
import { ErrorState } from "../components/ErrorState";
import { PageHeader } from "../components/PageHeader";
import { Skeleton } from "../components/Skeleton";
import { JOB_STATUSES } from "../components/StateBadge";
import { Button } from "../components/ui/Button";
import { INPUT } from "../components/ui/Field";
import { JobsTable } from "../features/jobs/JobsTable";
import { rootRoute } from "./root";

interface Search {
  status?: JobStatus | undefined;
  camera_id?: string | undefined;
  cursor?: string | undefined;
}

function Jobs() {
  const search = jobsRoute.useSearch();
  const navigate = jobsRoute.useNavigate();
  const jobs = useQuery(jobsQuery(search));
  const cameras = useQuery(camerasQuery);
  const change = (next: Search) => void navigate({ search: next });
  const more = jobs.data?.next_cursor;
  return (
    <>
      <PageHeader title="Jobs">
        <select aria-label="Camera" className={`${INPUT} !w-auto max-w-full`} value={search.camera_id ?? ""}
          onChange={(event) => change({ status: search.status, camera_id: event.target.value || undefined })}>
          <option value="">Every camera</option>
          {cameras.data?.items.map((camera) => <option key={camera.id} value={camera.id}>{camera.name}</option>)}
        </select>
      </PageHeader>
      <StatusTabs search={search} />
      {jobs.error && !jobs.data && <ErrorState error={jobs.error} onRetry={() => void jobs.refetch()} />}
      {jobs.isPending && <Skeleton className="h-72" />}
      {jobs.data?.items.length === 0 && (
        <EmptyState icon="jobs" title={search.status ? `No job is ${search.status}` : search.camera_id ? "No jobs of this camera" : "No jobs yet"}>
          <p>Each finished archive becomes a job.</p>
        </EmptyState>
      )}
      {jobs.data && jobs.data.items.length > 0 && <JobsTable jobs={jobs.data.items} />}
      <div className="mt-4 flex justify-end gap-2">
        {search.cursor && <Button onClick={() => change({ ...search, cursor: undefined })}>Newest</Button>}
        {more && <Button onClick={() => change({ ...search, cursor: more })}>Older</Button>}
      </div>
    </>
  );
}

/** The statuses as filters, with how many jobs each has where no camera is chosen. */
function StatusTabs({ search }: { search: Search }) {
  const health = useQuery(healthQuery);
  const kinds = Object.values(health.data?.queue?.counts ?? {});
  const number = (status: JobStatus) => kinds.reduce((sum, kind) => sum + (kind[status] ?? 0), 0);
  const look = (isOn: boolean) =>
    `flex min-h-8 items-center gap-1.5 rounded-md px-2.5 text-sm whitespace-nowrap transition-colors hover:bg-raised ${isOn ? "bg-raised font-medium text-ink" : "text-quiet"}`;
  return (
    <nav aria-label="Status" className="mb-3 flex flex-wrap gap-0.5">
      {[undefined, ...JOB_STATUSES].map((status) => (
        <Link key={status ?? "all"} to="/jobs" search={{ status, camera_id: search.camera_id }} className={look(search.status === status)}
          activeOptions={{ exact: true, includeSearch: true }}>
          {status ? status.replace(/^./, (first) => first.toUpperCase()) : "All"}
          {status && !search.camera_id && health.data?.queue && <span className="text-xs text-quiet">{number(status)}</span>}
        </Link>
      ))}
    </nav>
  );
}

export const jobsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/jobs",
  validateSearch: (search: Record<string, unknown>): Search => ({
    status: JOB_STATUSES.find((status) => status === search.status),
    camera_id: typeof search.camera_id === "string" ? search.camera_id : undefined,
    cursor: typeof search.cursor === "string" ? search.cursor : undefined,
  }),
  component: Jobs,
});
