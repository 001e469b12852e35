import { useQuery } from "@tanstack/react-query";
import { createRoute } from "@tanstack/react-router";
import { useState } from "react";

import { camerasQuery } from "../api/cameras";
import { EmptyState } from "../components/EmptyState";
import { ErrorState } from "../components/ErrorState";
import { PageHeader } from "../components/PageHeader";
import { Skeleton } from "../components/Skeleton";
import { Button } from "../components/ui/Button";
import { useMayChange } from "../components/useMayChange";
import { CameraDialog } from "../features/cameras/CameraDialog";
import { CameraTile } from "../features/cameras/CameraTile";
import { count } from "../lib/format";
import { rootRoute } from "./root";

const MANY = "grid-cols-[repeat(auto-fill,minmax(min(100%,22rem),1fr))]";
const ADD = "Add one by its address: VAP looks at it, says what it is, and begins to record. The source demo: is a scene that comes with VAP.";
const FEW = "md:grid-cols-2";

function Cameras() {
  const cameras = useQuery(camerasQuery);
  const [adding, setAdding] = useState(false);
  const mayAdd = useMayChange();
  const items = cameras.data?.items ?? [];
  const live = items.filter((camera) => camera.state === "live").length;
  const add = mayAdd && <Button look="primary" icon="plus" onClick={() => setAdding(true)}>Add camera</Button>;
  return (
    <>
      <PageHeader title="Cameras" beside={items.length > 0 && <span className="text-sm text-quiet">{`${count(items.length, "camera")}, ${live} live`}</span>}>
        {add}
      </PageHeader>
      {cameras.error && !cameras.data && <ErrorState error={cameras.error} onRetry={() => void cameras.refetch()} />}
      {cameras.data && items.length === 0 && (
        <EmptyState icon="camera" title="No cameras yet">
          <p>{mayAdd ? ADD : "Somebody who may change cameras has to add one."}</p>
          {add}
        </EmptyState>
      )}
      <div className={`grid gap-4 ${!cameras.data || items.length > 2 ? MANY : FEW}`}>
        {cameras.isPending && [1, 2, 3].map((n) => <Skeleton key={n} className="aspect-[4/3]" />)}
        {items.map((camera) => <CameraTile key={camera.id} camera={camera} />)}
      </div>
      {adding && <CameraDialog onClose={() => setAdding(false)} />}
    </>
  );
}

export const camerasRoute = createRoute({ getParentRoute: () => rootRoute, path: "/", component: Cameras });
