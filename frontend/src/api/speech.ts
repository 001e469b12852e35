/** Speech jobs and their transcripts: keys, queries, a video by its address or as an upload. */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";

import { api, ApiError, given, refusal, type Schemas, unwrap } from "./client";

export type SpeechJob = Schemas["SpeechJobSummary"];
export type SpeechDetail = Schemas["SpeechJobView"];
export type TranscriptFormat = Schemas["TranscriptFormat"];

export const speechKeys = {
  all: ["speech"] as const,
  lists: ["speech", "list"] as const,
  ones: ["speech", "one"] as const,
};

/** Exhaustive: a new form of the server fails to compile here. */
const FORMAT: Record<TranscriptFormat, true> = { json: true, srt: true, vtt: true, txt: true };
export const TRANSCRIPT_FORMATS = Object.keys(FORMAT) as TranscriptFormat[];

const jobPath = (jobId: string): string => `/api/v1/speech/jobs/${encodeURIComponent(jobId)}`;
export const videoUrl = (jobId: string): string => `${jobPath(jobId)}/video`;
export const transcriptUrl = (jobId: string, form: TranscriptFormat): string => `${jobPath(jobId)}/transcript.${form}`;

export const speechJobsQuery = (cursor: string | undefined) =>
  queryOptions({
    queryKey: [...speechKeys.lists, cursor],
    queryFn: () => unwrap(api.GET("/api/v1/speech/jobs", { params: { query: given({ limit: 25, cursor }) } })),
    refetchInterval: 15_000,
    placeholderData: keepPreviousData,
  });

/** A finished transcript may be long and never changes: no event loads it again. */
export const speechJobQuery = (jobId: string) =>
  queryOptions({
    queryKey: [...speechKeys.ones, jobId],
    queryFn: () => unwrap(api.GET("/api/v1/speech/jobs/{job_id}", { params: { path: { job_id: jobId } } })),
    staleTime: (query) => (query.state.data?.status === "completed" ? "static" : 2_000),
    refetchInterval: (query) => (query.state.data?.status === "completed" ? false : 10_000),
  });

export const addSpeechJob = (video_url: string) => unwrap(api.POST("/api/v1/speech/jobs", { body: { video_url } }));

type Accepted = Schemas["Accepted"];

interface Upload {
  done: Promise<Accepted>;
  cancel: () => void;
}

/** Send a file as it lies on disk; `fetch` would not tell how far it is. A cancelled one rejects with status 0. */
export function uploadVideo(file: File, onProgress: (sentBytes: number) => void): Upload {
  const request = new XMLHttpRequest();
  const done = new Promise<Accepted>((resolve, reject) => {
    const broke = () => reject(new ApiError(0, "upload_broken", "The upload broke off. Is the file too large, or the server away?"));
    request.upload.onprogress = (event) => onProgress(event.loaded);
    request.onload = () => {
      if (request.status === 202) resolve(request.response as Accepted);
      else reject(refusal(request.status, request.response));
    };
    request.onerror = broke;
    request.onabort = () => reject(new ApiError(0, "upload_cancelled", "The upload was cancelled."));
  });
  request.open("POST", `/api/v1/speech/uploads?filename=${encodeURIComponent(file.name)}`);
  request.responseType = "json";
  request.send(file);
  return { done, cancel: () => request.abort() };
}
