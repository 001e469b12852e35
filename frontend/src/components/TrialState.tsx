import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";

import type { JobDetail } from "../api/jobs";
import { sentence } from "../lib/format";
import { Icon } from "./ui/Icon";

interface Props {
  job: JobDetail | undefined;
  error: Error | null;
  isRunning: boolean;
  children: (result: unknown) => ReactNode;
}

/** How a try goes, and in the end what it gave or why it gave nothing. */
export function TrialState({ job, error, isRunning, children }: Props) {
  if (isRunning) {
    return (
      <p role="status" className="text-sm text-quiet">
        {job?.status === "processing" ? (job.stage ?? "Working…") : "Waits for a worker…"}
      </p>
    );
  }
  if (error) return <Failed>{sentence(error.message)}</Failed>;
  if (!job) return null;
  if (job.status === "completed") return children(job.analysis_result);
  return (
    <Failed>
      {job.error_message === null ? "It was cancelled." : sentence(job.error_message)}{" "}
      <Link to="/jobs/$id" params={{ id: String(job.id) }} className="whitespace-nowrap text-accent hover:underline">{`Job #${job.id}`}</Link>
    </Failed>
  );
}

export const Failed = ({ children }: { children: ReactNode }) => (
  <div role="alert" className="flex gap-2.5 rounded-md border border-bad/25 bg-bad/10 p-3 text-sm">
    <Icon name="alert" className="mt-0.5 size-4 text-bad" />
    <p className="min-w-0 wrap-anywhere">{children}</p>
  </div>
);
