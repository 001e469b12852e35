import { useMutation, useQueryClient } from "@tanstack/react-query";

import { type Camera, cameraKeys, deleteCamera } from "../../api/cameras";
import { Button } from "../../components/ui/Button";
import { Dialog } from "../../components/ui/Dialog";

interface Props {
  camera: Camera;
  onClose: () => void;
  onRemoved: () => void;
}

/** Asks what shall happen with the archives; footage cannot be shot twice. */
export function RemoveDialog({ camera, onClose, onRemoved }: Props) {
  const cache = useQueryClient();
  const remove = useMutation({
    mutationFn: (archives: "keep" | "delete") => deleteCamera(camera.id, archives),
    onSuccess: () => {
      void cache.invalidateQueries({ queryKey: cameraKeys.all });
      onRemoved();
    },
  });
  return (
    <Dialog title={`Remove ${camera.name}?`} onClose={onClose}>
      <p className="text-sm text-quiet">
        Recording stops at once. The archives can stay for as many days as this camera keeps them, or be deleted now, for good.
      </p>
      {remove.error && <p role="alert" className="mt-3 text-sm text-bad">{remove.error.message}</p>}
      <div className="mt-5 flex flex-wrap justify-end gap-2 max-sm:flex-col">
        <Button onClick={onClose}>Cancel</Button>
        <Button look="danger" disabled={remove.isPending} onClick={() => remove.mutate("delete")}>
          Remove and delete archives
        </Button>
        <Button look="primary" disabled={remove.isPending} onClick={() => remove.mutate("keep")}>
          Remove, keep archives
        </Button>
      </div>
    </Dialog>
  );
}
