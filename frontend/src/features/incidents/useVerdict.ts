/** A person's verdict: shown at once, taken back where the server does not take it. */
import { type QueryClient, useMutation, useQueryClient } from "@tanstack/react-query";

import { type Incident, incidentKeys, type IncidentPage, type IncidentState, judgeIncident } from "../../api/incidents";
import { withState } from "./incidents.model";

const KEY = ["verdict"];

interface Judged {
  incident: Incident;
  verdict: IncidentState;
}

function show(cache: QueryClient, id: number, state: IncidentState): void {
  cache.setQueriesData<IncidentPage>({ queryKey: incidentKeys.lists }, (page) => page && withState(page, id, state));
  cache.setQueryData<Incident>(incidentKeys.one(id), (incident) => incident && { ...incident, state });
}

export function useVerdict() {
  const cache = useQueryClient();
  return useMutation({
    mutationKey: KEY,
    scope: { id: "verdicts" }, // one after the other: the last key that was pressed counts
    mutationFn: ({ incident, verdict }: Judged) => judgeIncident(incident.id, verdict),
    onMutate: async ({ incident, verdict }) => {
      // an answer that is under way knows nothing of this yet
      await cache.cancelQueries({ queryKey: incidentKeys.all });
      show(cache, incident.id, verdict);
    },
    onError: (_error, { incident }) => show(cache, incident.id, incident.state),
    onSettled: () => {
      if (cache.isMutating({ mutationKey: KEY }) === 1) void cache.invalidateQueries({ queryKey: incidentKeys.all });
    },
  });
}
