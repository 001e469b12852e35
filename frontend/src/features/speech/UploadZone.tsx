import { Link } from "@tanstack/react-router";
import { type DragEvent, useRef, useState } from "react";

import { Button } from "../../components/ui/Button";
import { Icon } from "../../components/ui/Icon";
import { bytes, sentence } from "../../lib/format";
import { type UploadState, useUploads } from "./useUploads";

const TYPES = "video/*,audio/*,.mkv,.ts";

/** A place to drop videos or to choose them; each goes to the server's disk as it is read. */
export function UploadZone() {
  const { uploads, send, cancel, forget } = useUploads();
  const [isOver, setIsOver] = useState(false);
  const chooser = useRef<HTMLInputElement>(null);
  const take = (files: FileList | null) => {
    for (const file of files ?? []) send(file);
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setIsOver(false);
    take(event.dataTransfer.files);
  };
  const over = (event: DragEvent) => {
    event.preventDefault();
    setIsOver(true);
  };
  return (
    <div className="min-w-0 space-y-3">
      <div onDragOver={over} onDragLeave={() => setIsOver(false)} onDrop={drop}
        className={`flex flex-col items-center gap-2 rounded-lg border border-dashed px-4 py-6 text-center text-sm transition-colors ${isOver ? "border-accent bg-accent/10" : "border-line"}`}>
        <Icon name="footage" className="size-6 text-quiet" />
        <p className="text-quiet max-sm:hidden pointer-coarse:hidden">Drop a video here, or</p>
        <Button onClick={() => chooser.current?.click()}>Choose a file</Button>
        <input ref={chooser} type="file" multiple accept={TYPES} aria-label="Video file" className="sr-only" tabIndex={-1}
          onChange={(event) => {
            take(event.target.files);
            event.target.value = "";
          }} />
        <p className="text-xs text-quiet">Video or audio, up to 2 GB unless the server is set otherwise</p>
      </div>
      {uploads.length > 0 && (
        <ul aria-label="Uploads" className="space-y-2 text-sm">
          {uploads.map((upload) => <UploadLine key={upload.id} upload={upload} onCancel={() => cancel(upload.id)} onForget={() => forget(upload.id)} />)}
        </ul>
      )}
    </div>
  );
}

function UploadLine({ upload, onCancel, onForget }: { upload: UploadState; onCancel: () => void; onForget: () => void }) {
  const { name, state, sentBytes, sizeBytes } = upload;
  const percent = sizeBytes === 0 ? 0 : Math.floor((sentBytes / sizeBytes) * 100);
  return (
    <li className="rounded-lg border border-line px-3 py-2">
      <div className="flex items-center gap-3">
        <span className="min-w-0 flex-1 truncate font-medium" title={name}>{name}</span>
        {state === "sending" && <Button aria-label={`Cancel the upload of ${name}`} onClick={onCancel}>Cancel</Button>}
        {state === "done" && upload.jobId !== null && (
          <Link to="/speech/$jobId" params={{ jobId: upload.jobId }} className="text-accent hover:underline">Open the job</Link>
        )}
        {state !== "sending" && <Button look="quiet" icon="close" aria-label={`Take ${name} off this list`} onClick={onForget} />}
      </div>
      {state === "sending" && (
        <>
          <div role="progressbar" aria-label={`Upload of ${name}`} aria-valuenow={percent} aria-valuemin={0} aria-valuemax={100} className="mt-1.5 h-1.5 overflow-hidden rounded-full bg-line">
            <div className="h-full rounded-full bg-accent" style={{ width: `${percent}%` }} />
          </div>
          <p className="mt-1 text-xs text-quiet">{`${percent} % · ${bytes(sentBytes)} of ${bytes(sizeBytes)}`}</p>
        </>
      )}
      {state === "done" && <p role="status" className="text-xs text-quiet">{`Uploaded, ${bytes(sizeBytes)}`}</p>}
      {upload.error !== null && <p role="alert" className="mt-0.5 wrap-anywhere text-bad">{sentence(upload.error)}</p>}
    </li>
  );
}
