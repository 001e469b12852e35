import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type SubmitEvent, useState } from "react";

import { type Camera, type CameraCreate, cameraKeys, createCamera, probeSource, updateCamera } from "../../api/cameras";
import { Button } from "../../components/ui/Button";
import { Dialog } from "../../components/ui/Dialog";
import { Field, INPUT } from "../../components/ui/Field";
import { ProbeResult } from "./ProbeResult";

interface Props {
  camera?: Camera;
  onClose: () => void;
  onSaved?: (id: string) => void;
}

type Filled = Omit<CameraCreate, "enabled">;

const text = (form: FormData, name: string): string => {
  const value = form.get(name);
  return typeof value === "string" ? value.trim() : "";
};

function read(form: FormData): Filled {
  const days = text(form, "retention_days");
  return {
    name: text(form, "name"),
    source: text(form, "source"),
    description: text(form, "description"),
    archive_seconds: Number(text(form, "archive_seconds")),
    retention_days: days === "" ? null : Number(days),
  };
}

/** Adds a camera, or edits one. */
export function CameraDialog({ camera, onClose, onSaved }: Props) {
  const cache = useQueryClient();
  const [source, setSource] = useState(camera?.source ?? "");
  const probe = useMutation({ mutationFn: () => probeSource(source, camera?.id ?? null) });
  const save = useMutation({
    mutationFn: async (body: Filled) => {
      if (!camera) return (await createCamera({ ...body, enabled: true })).id;
      return (await updateCamera(camera.id, body)).id;
    },
    onSuccess: (id) => {
      void cache.invalidateQueries({ queryKey: cameraKeys.all });
      onSaved?.(id);
      onClose();
    },
  });
  const onSubmit = (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    save.mutate(read(new FormData(event.currentTarget)));
  };
  const failed = save.error ?? probe.error;
  return (
    <Dialog title={camera ? `Edit ${camera.name}` : "Add a camera"} onClose={onClose}>
      <form onSubmit={onSubmit} className="space-y-4">
        <Field label="Name">
          <input name="name" required maxLength={100} defaultValue={camera?.name} className={INPUT} autoFocus />
        </Field>
        <Field label="Source"
          hint="rtsp://user:password@address/path, http(s)://…, file:name.mp4 (in MEDIA_DIRS) or demo: — passwords are never shown again.">
          <input name="source" required maxLength={2000} value={source} spellCheck={false} autoComplete="off"
            placeholder="rtsp://user:password@192.168.1.20/stream1" className={`${INPUT} font-mono`}
            onChange={(event) => {
              setSource(event.target.value);
              probe.reset();
            }} />
        </Field>
        <div className="flex items-center gap-3">
          <Button onClick={() => probe.mutate()} disabled={source === "" || probe.isPending}>
            {probe.isPending ? "Looking…" : "Test connection"}
          </Button>
          <span className="text-xs text-quiet">Looks at the source; nothing is saved.</span>
        </div>
        {probe.data && <ProbeResult answer={probe.data} />}
        <Field label="Description" hint="What the camera sees and what matters there.">
          <textarea name="description" rows={2} maxLength={5000} defaultValue={camera?.description} className={INPUT} />
        </Field>
        <div className="grid grid-cols-2 gap-4">
          <Field label="Archive length (s)">
            <input name="archive_seconds" type="number" min={10} max={3600} required
              defaultValue={camera?.archive_seconds ?? 600} className={INPUT} />
          </Field>
          <Field label="Keep for (days)" hint="Empty: as the server is set.">
            <input name="retention_days" type="number" min={0.01} max={3650} step="any"
              defaultValue={camera?.retention_days ?? ""} className={INPUT} />
          </Field>
        </div>
        {failed && <p role="alert" className="text-sm text-bad">{failed.message}</p>}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" disabled={save.isPending}>
            {save.isPending ? "Saving…" : camera ? "Save" : "Add camera"}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
