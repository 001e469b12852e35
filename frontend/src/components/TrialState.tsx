import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";

import type { JobDetail } from "../api/jobs";
import { sentence } from "../lib/format";
import { Notice } from "./Notice";

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
  if (error) return <Notice tone="bad" role="alert">{sentence(error.message)}</Notice>;
  if (!job) return null;
  if (job.status === "completed") return children(job.analysis_result);
  return (
    <Notice tone="bad" role="alert">
      {job.error_message === null ? "It was cancelled." : sentence(job.error_message)}{" "}
      <Link to="/jobs/$id" params={{ id: String(job.id) }} className="whitespace-nowrap text-accent hover:underline">{`Job #${job.id}`}</Link>
    </Notice>
  );
}
