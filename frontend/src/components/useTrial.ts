import { useMutation, useQuery } from "@tanstack/react-query";

import { followedJobQuery, isOver, type JobDetail } from "../api/jobs";

/** Starts a job and follows it until it is over. */
export function useTrial<Input>(start: (input: Input) => Promise<{ job_id: number }>) {
  const starting = useMutation({ mutationFn: start });
  const id = starting.data?.job_id ?? null;
  const followed = useQuery(followedJobQuery(id));
  const job: JobDetail | undefined = id === null ? undefined : followed.data;
  const error = starting.error ?? (job ? null : followed.error);
  return { run: starting.mutate, job, error, isRunning: starting.isPending || (id !== null && !error && !(job && isOver(job))) };
}
