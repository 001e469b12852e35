import { useQuery } from "@tanstack/react-query";
import { createRoute } from "@tanstack/react-router";

import { camerasQuery } from "../api/cameras";
import { type JobStatus, jobsQuery } from "../api/jobs";
import { EmptyState, ErrorState, Skeleton } from "../components/Notice";
import { Button } from "../components/ui/Button";
import { INPUT } from "../components/ui/Field";
import { JobsTable } from "../features/jobs/JobsTable";
import { rootRoute } from "./root";

const STATUSES: JobStatus[] = ["pending", "processing", "completed", "failed", "cancelled"];

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
      <div className="mb-4 flex flex-wrap items-center gap-3">
        <h1 className="mr-auto text-xl font-semibold">Jobs</h1>
        <select aria-label="Status" className={`${INPUT} !w-auto`} value={search.status ?? ""}
          onChange={(event) => change({ ...search, cursor: undefined, status: STATUSES.find((s) => s === event.target.value) })}>
          <option value="">every status</option>
          {STATUSES.map((status) => <option key={status}>{status}</option>)}
        </select>
        <select aria-label="Camera" className={`${INPUT} !w-auto`} value={search.camera_id ?? ""}
          onChange={(event) => change({ ...search, cursor: undefined, camera_id: event.target.value || undefined })}>
          <option value="">every camera</option>
          {cameras.data?.items.map((camera) => <option key={camera.id} value={camera.id}>{camera.name}</option>)}
        </select>
      </div>
      {jobs.error && <ErrorState error={jobs.error} onRetry={() => void jobs.refetch()} />}
      {jobs.isPending && <Skeleton className="h-72" />}
      {jobs.data?.items.length === 0 && (
        <EmptyState title={search.status || search.camera_id ? "No job fits" : "No jobs yet"}>
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

export const jobsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/jobs",
  validateSearch: (search: Record<string, unknown>): Search => ({
    status: STATUSES.find((status) => status === search.status),
    camera_id: typeof search.camera_id === "string" ? search.camera_id : undefined,
    cursor: typeof search.cursor === "string" ? search.cursor : undefined,
  }),
  component: Jobs,
});
