import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type SubmitEvent, useState } from "react";

import { type Camera, cameraKeys, createCamera, type ProbeAnswer, probeSource, updateCamera } from "../../api/cameras";
import { Button } from "../../components/ui/Button";
import { Dialog } from "../../components/ui/Dialog";
import { Field, INPUT } from "../../components/ui/Field";
import { type Filled, readForm } from "./camera-form.model";
import { ProbeResult } from "./ProbeResult";
import { SceneFields } from "./SceneFields";

interface Props {
  camera?: Camera;
  onClose: () => void;
}

interface Saved {
  name: string;
  answer: ProbeAnswer | null;
}

async function save(camera: Camera | undefined, filled: Filled): Promise<Saved> {
  if (camera) return { name: (await updateCamera(camera.id, filled)).name, answer: null };
  const created = await createCamera({ ...filled, enabled: true });
  return { name: created.name, answer: created.probe_answer };
}

/** Adds a camera, or edits one. */
export function CameraDialog({ camera, onClose }: Props) {
  const cache = useQueryClient();
  const saving = useMutation({
    mutationFn: (filled: Filled) => save(camera, filled),
    onSuccess: ({ answer }) => {
      void cache.invalidateQueries({ queryKey: cameraKeys.all });
      if (answer?.ok !== false) onClose();
    },
  });
  if (saving.data?.answer?.ok === false) {
    return (
      <Dialog title={`${saving.data.name} is added`} onClose={onClose}>
        <ProbeResult answer={saving.data.answer} lead="It cannot be read at present; VAP keeps trying." />
        <div className="mt-5 flex justify-end">
          <Button look="primary" onClick={onClose}>Close</Button>
        </div>
      </Dialog>
    );
  }
  const onSubmit = (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    saving.mutate(readForm(new FormData(event.currentTarget)));
  };
  return (
    <Dialog title={camera ? `Edit ${camera.name}` : "Add a camera"} onClose={onClose}>
      <form onSubmit={onSubmit} className="space-y-4">
        <Field label="Name">
          <input name="name" required maxLength={100} defaultValue={camera?.name} className={INPUT} autoFocus />
        </Field>
        <SourceField camera={camera} />
        <Field label="Description" hint="What the camera sees and what matters there.">
          <textarea name="description" rows={2} maxLength={5000} defaultValue={camera?.description} className={INPUT} />
        </Field>
        <SceneFields camera={camera} />
        <Limits camera={camera} />
        {saving.error && <p role="alert" className="text-sm text-bad">{saving.error.message}</p>}
        <div className="flex justify-end gap-2 pt-1">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" disabled={saving.isPending}>
            {saving.isPending ? "Saving…" : camera ? "Save" : "Add camera"}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

/** The address, and a look at it without saving anything. */
function SourceField({ camera }: { camera: Camera | undefined }) {
  const [source, setSource] = useState(camera?.source ?? "");
  const probe = useMutation({ mutationFn: () => probeSource(source, camera?.id ?? null) });
  return (
    <div className="space-y-2.5">
      <Field label="Source"
        hint={camera
          ? "A masked *** keeps the password that is stored."
          : "rtsp, rtsps, http or https address, file:name.mp4 from MEDIA_DIRS, or demo: for the scene that comes with VAP. The password is never shown again."}>
        <input name="source" required maxLength={2000} value={source} spellCheck={false} autoComplete="off" autoCapitalize="off"
          placeholder="rtsp://user:password@192.168.1.20/stream1" className={`${INPUT} font-mono`}
          onChange={(event) => {
            setSource(event.target.value);
            probe.reset();
          }} />
      </Field>
      <div className="flex items-center gap-3">
        <Button onClick={() => probe.mutate()} disabled={source.trim() === "" || probe.isPending}>
          {probe.isPending ? "Looking…" : "Test connection"}
        </Button>
        <span className="text-xs text-quiet">Takes some seconds; nothing is saved.</span>
      </div>
      {probe.data && <ProbeResult answer={probe.data} />}
      {probe.error && <p role="alert" className="text-sm text-bad">{probe.error.message}</p>}
    </div>
  );
}

/** What is seldom changed: the second stream, and how archives are cut and kept. */
function Limits({ camera }: { camera: Camera | undefined }) {
  return (
    <details className="rounded-md border border-line" open={camera !== undefined}>
      <summary className="cursor-pointer px-3 py-2 text-sm font-medium">Archives and substream</summary>
      <div className="space-y-4 border-t border-line p-3">
        <div className="grid gap-4 sm:grid-cols-3">
          <Field label="Archive length" hint="Seconds, 10 to 3600.">
            <input name="archive_seconds" type="number" min={10} max={3600} required
              defaultValue={camera?.archive_seconds ?? 600} className={INPUT} />
          </Field>
          <Field label="Keep for days" hint="Empty: as the server is set.">
            <input name="retention_days" type="number" min={0.01} max={3650} step="any"
              defaultValue={camera?.retention_days ?? ""} className={INPUT} />
          </Field>
          <Field label="Keep at most GB" hint="Empty: no limit of its own.">
            <input name="retention_gb" type="number" min={0.01} step="any"
              defaultValue={camera?.retention_bytes ? camera.retention_bytes / 1e9 : ""} className={INPUT} />
          </Field>
        </div>
        <Field label="Substream" hint="A smaller stream of the same camera, if it has one.">
          <input name="substream" maxLength={2000} defaultValue={camera?.substream ?? ""} spellCheck={false} autoComplete="off"
            autoCapitalize="off" className={`${INPUT} font-mono`} />
        </Field>
      </div>
    </details>
  );
}
