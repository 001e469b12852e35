import { useMutation, useQueryClient } from "@tanstack/react-query";

import { cancelJob, type Job, jobKeys, type JobStatus, retryJob } from "../api/jobs";
import { speechKeys } from "../api/speech";
import { Button } from "./ui/Button";
import { useMayChange } from "./useMayChange";

const CAN: Record<JobStatus, "cancel" | "retry" | null> = {
  pending: "cancel",
  processing: "cancel",
  completed: null,
  failed: "retry",
  cancelled: "retry",
};

/** What can be done with a job as it stands. */
export function JobActions({ job }: { job: Pick<Job, "id" | "status" | "cancel_requested"> }) {
  const cache = useQueryClient();
  const mayChange = useMayChange();
  const act = useMutation({
    mutationFn: (action: (id: number) => Promise<unknown>) => action(job.id),
    onSettled: () => Promise.all([jobKeys.all, speechKeys.all].map((queryKey) => cache.invalidateQueries({ queryKey }))),
  });
  const can = CAN[job.status];
  if (!can || !mayChange) return null;
  return (
    <span className="inline-flex flex-wrap items-center justify-end gap-2">
      {act.error && <span role="alert" className="text-xs text-bad">{act.error.message}</span>}
      {can === "cancel" ? (
        <Button disabled={act.isPending || job.cancel_requested} aria-label={`Cancel job ${job.id}`} onClick={() => act.mutate(cancelJob)}>
          {job.cancel_requested ? "Stopping…" : "Cancel"}
        </Button>
      ) : (
        <Button disabled={act.isPending} aria-label={`Try job ${job.id} again`} onClick={() => act.mutate(retryJob)}>Try again</Button>
      )}
    </span>
  );
}
