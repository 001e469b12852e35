import { useQuery } from "@tanstack/react-query";
import { createRoute } from "@tanstack/react-router";
import { useState } from "react";

import { camerasQuery } from "../api/cameras";
import { EmptyState, ErrorState, Skeleton } from "../components/Notice";
import { Button } from "../components/ui/Button";
import { CameraDialog } from "../features/cameras/CameraDialog";
import { CameraTile } from "../features/cameras/CameraTile";
import { rootRoute } from "./root";

function Cameras() {
  const cameras = useQuery(camerasQuery);
  const [adding, setAdding] = useState(false);
  const add = <Button look="primary" onClick={() => setAdding(true)}>Add camera</Button>;
  return (
    <>
      <div className="mb-4 flex items-center justify-between">
        <h1 className="text-xl font-semibold">Cameras</h1>
        {add}
      </div>
      {cameras.error && <ErrorState error={cameras.error} onRetry={() => void cameras.refetch()} />}
      {cameras.data?.items.length === 0 && (
        <EmptyState title="No cameras yet">
          <p>Add one by its address; VAP looks at it and says what it is.</p>
          {add}
        </EmptyState>
      )}
      <div className="grid gap-4 sm:grid-cols-2 xl:grid-cols-3">
        {cameras.isPending && [1, 2, 3].map((n) => <Skeleton key={n} className="aspect-[4/3]" />)}
        {cameras.data?.items.map((camera) => <CameraTile key={camera.id} camera={camera} />)}
      </div>
      {adding && <CameraDialog onClose={() => setAdding(false)} />}
    </>
  );
}

export const camerasRoute = createRoute({ getParentRoute: () => rootRoute, path: "/", component: Cameras });
