import { useQueryClient } from "@tanstack/react-query";
import { useBlocker } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";

import { ApiError } from "../../api/client";
import { operationKeys } from "../../api/operations";
import { speechKeys, uploadVideo } from "../../api/speech";

export interface UploadState {
  id: number;
  name: string;
  sizeBytes: number;
  sentBytes: number;
  state: "sending" | "done" | "failed";
  error: string | null;
  jobId: string | null;
}

const LEAVE = "A video is still being uploaded. Leave the page and cancel the upload?";

/** Uploads under way from this page; they end with it, so whoever leaves is asked. */
export function useUploads() {
  const cache = useQueryClient();
  const [uploads, setUploads] = useState<UploadState[]>([]);
  const cancels = useRef(new Map<number, () => void>());
  const last = useRef(0);
  const isSending = uploads.some((one) => one.state === "sending");
  useBlocker({ shouldBlockFn: ({ current, next }) => isSending && current.pathname !== next.pathname && !window.confirm(LEAVE), enableBeforeUnload: isSending });
  useEffect(() => {
    const open = cancels.current;
    return () => {
      for (const cancel of open.values()) cancel();
    };
  }, []);

  const change = (id: number, changed: Partial<UploadState>) =>
    setUploads((all) => all.map((one) => (one.id === id ? { ...one, ...changed } : one)));
  const forget = (id: number) => setUploads((all) => all.filter((one) => one.id !== id));
  const send = (file: File) => {
    const id = (last.current += 1);
    const { done, cancel } = uploadVideo(file, (sentBytes) => change(id, { sentBytes }));
    cancels.current.set(id, cancel);
    setUploads((all) => [{ id, name: file.name, sizeBytes: file.size, sentBytes: 0, state: "sending", error: null, jobId: null }, ...all]);
    void done.then(
      ({ job_id }) => {
        change(id, { state: "done", sentBytes: file.size, jobId: job_id });
        void cache.invalidateQueries({ queryKey: speechKeys.lists });
      },
      (error: unknown) => {
        // a session that ran out: the root asks who we are, and shows the log-in
        if (error instanceof ApiError && error.status === 401) void cache.invalidateQueries({ queryKey: operationKeys.session });
        if (error instanceof ApiError && error.code === "upload_cancelled") forget(id);
        else change(id, { state: "failed", error: error instanceof Error ? error.message : String(error) });
      },
    ).finally(() => cancels.current.delete(id));
  };
  return { uploads, send, forget, cancel: (id: number) => cancels.current.get(id)?.() };
}
