import { useQuery } from "@tanstack/react-query";
import { createRoute, Link } from "@tanstack/react-router";

import { camerasQuery } from "../api/cameras";
import { EmptyState } from "../components/EmptyState";
import { ErrorState } from "../components/ErrorState";
import { Skeleton } from "../components/Skeleton";
import { CameraPage, type Range, RANGES } from "../features/cameras/CameraPage";
import { asOneOf } from "../lib/search";
import { rootRoute } from "./root";

interface Search {
  hours?: Range | undefined;
  /** How scores are shown; by hour unless it says otherwise. */
  scores?: "day" | undefined;
}

function OneCamera() {
  const { id } = cameraRoute.useParams();
  const { hours = 1, scores = "hour" } = cameraRoute.useSearch();
  const navigate = cameraRoute.useNavigate();
  const cameras = useQuery(camerasQuery);
  if (cameras.error && !cameras.data) return <ErrorState error={cameras.error} onRetry={() => void cameras.refetch()} />;
  if (!cameras.data) return <Skeleton className="aspect-video" />;
  const camera = cameras.data.items.find((one) => one.id === id);
  if (!camera) {
    return (
      <EmptyState icon="camera" title="There is no such camera">
        <Link to="/" className="text-accent hover:underline">To the cameras</Link>
      </EmptyState>
    );
  }
  return (
    <CameraPage key={camera.id} camera={camera} hours={hours} scores={scores}
      onHours={(range) => void navigate({ search: (old) => ({ ...old, hours: range }), replace: true, resetScroll: false })}
      onScores={(by) => void navigate({ search: (old) => ({ ...old, scores: by === "day" ? by : undefined }), replace: true, resetScroll: false })}
      onRemoved={() => void navigate({ to: "/" })} />
  );
}

export const cameraRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/cameras/$id",
  validateSearch: (search: Record<string, unknown>): Search => ({
    hours: RANGES.find((range) => range === Number(search.hours)),
    scores: asOneOf(["day"] as const, search.scores),
  }),
  component: OneCamera,
});
