import "./index.css";

import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createRouter, RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { ApiError } from "./api/client";
import { operationKeys } from "./api/operations";
import { applyTheme, storedTheme } from "./components/theme";
import { cameraRoute } from "./routes/camera";
import { camerasRoute } from "./routes/cameras";
import { dayRoute } from "./routes/day";
import { deliveriesRoute } from "./routes/deliveries";
import { incidentsRoute } from "./routes/incidents";
import { jobRoute } from "./routes/job";
import { jobsRoute } from "./routes/jobs";
import { modelsRoute } from "./routes/models";
import { rootRoute } from "./routes/root";
import { speechRoute } from "./routes/speech";
import { speechJobRoute } from "./routes/speech-job";
import { workersRoute } from "./routes/workers";

applyTheme(storedTheme());

// a session that ran out: the root asks who we are, and shows the log-in (403 where programs on this machine may call)
const onError = (error: Error) => {
  if (error instanceof ApiError && [401, 403].includes(error.status)) void cache.invalidateQueries({ queryKey: operationKeys.session });
};
const cache: QueryClient = new QueryClient({
  queryCache: new QueryCache({ onError }),
  mutationCache: new MutationCache({ onError }),
  defaultOptions: {
    queries: {
      // what the client did wrong stays wrong; what the network did may pass
      retry: (failures, error) => failures < 3 && !(error instanceof ApiError && error.status >= 400 && error.status < 500),
      staleTime: 2_000,
    },
  },
});
const router = createRouter({
  routeTree: rootRoute.addChildren([
    camerasRoute, cameraRoute, incidentsRoute, dayRoute, jobsRoute, jobRoute, speechRoute, speechJobRoute, deliveriesRoute, workersRoute, modelsRoute,
  ]),
  basepath: "/ui",
  scrollRestoration: true,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={cache}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </StrictMode>,
);
