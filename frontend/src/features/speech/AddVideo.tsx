import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type SubmitEvent, useState } from "react";

import { addSpeechJob, speechKeys } from "../../api/speech";
import { Card } from "../../components/Card";
import { Button } from "../../components/ui/Button";
import { Field, INPUT } from "../../components/ui/Field";
import { sentence } from "../../lib/format";
import { UploadZone } from "./UploadZone";

/** The two ways in which a video comes here: from this computer, or from an address. */
export function AddVideo() {
  return (
    <Card title="Transcribe a video">
      <div className="grid gap-5 md:grid-cols-2">
        <UploadZone />
        <ByAddress />
      </div>
    </Card>
  );
}

function ByAddress() {
  const cache = useQueryClient();
  const [url, setUrl] = useState("");
  const add = useMutation({
    mutationFn: addSpeechJob,
    onSuccess: () => {
      setUrl("");
      void cache.invalidateQueries({ queryKey: speechKeys.lists });
    },
  });
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    add.mutate(url.trim());
  };
  return (
    <form onSubmit={submit} className="space-y-3">
      <Field label="Address of a video" hint="The server fetches it, keeps it and plays it beside the transcript.">
        <input type="url" required maxLength={8000} inputMode="url" placeholder="https://…" value={url} className={INPUT} onChange={(event) => setUrl(event.target.value)} />
      </Field>
      <Button type="submit" look="primary" disabled={add.isPending || url.trim() === ""}>Transcribe</Button>
      {add.error && <p role="alert" className="text-sm wrap-anywhere text-bad">{sentence(add.error.message)}</p>}
      {add.data && (
        <p role="status" className="text-sm text-quiet">
          {"Taken on: "}
          <Link to="/speech/$jobId" params={{ jobId: add.data.job_id }} className="text-accent hover:underline">open the job</Link>
        </p>
      )}
    </form>
  );
}
