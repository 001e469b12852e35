/** Incidents of all cameras and what people make of them: keys, queries, the verdict. */
import { keepPreviousData, queryOptions, skipToken } from "@tanstack/react-query";

import { api, given, type Schemas, unwrap } from "./client";

export type Incident = IncidentPage["items"][number];
export type IncidentCategory = Schemas["IncidentCategory"];
export type IncidentState = Schemas["IncidentState"];
export type IncidentPage = Awaited<ReturnType<typeof incidentsPage>>;
export type Precision = Schemas["PrecisionView"];

export interface IncidentFilter {
  camera_id?: string | undefined;
  category?: IncidentCategory | undefined;
  severity?: number | undefined;
  state?: IncidentState | undefined;
  /** ISO, from here on and before. */
  since?: string | undefined;
  until?: string | undefined;
  text?: string | undefined;
  cursor?: string | undefined;
}

export type PrecisionFilter = Pick<IncidentFilter, "camera_id" | "since" | "until">;

export const incidentKeys = {
  all: ["incidents"] as const,
  lists: ["incidents", "list"] as const,
  one: (id: number) => ["incidents", "one", id] as const,
  precision: ["incidents", "precision"] as const,
};

/** Exhaustive, for lists to choose from: a new category of the server fails to compile here. */
const CATEGORY: Record<IncidentCategory, true> = {
  fall: true,
  near_miss: true,
  loitering: true,
  crowding: true,
  running: true,
  intrusion: true,
  violence: true,
  fire_smoke: true,
  abandoned_object: true,
  unsafe_behaviour: true,
  camera_obstructed: true,
  other: true,
};
export const CATEGORIES = Object.keys(CATEGORY) as IncidentCategory[];

const incidentsPage = ({ category, state, ...rest }: IncidentFilter) => {
  const query = given({ ...rest, category: category && [category], state: state && [state] });
  return unwrap(api.GET("/api/v1/incidents", { params: { query } }));
};

export const incidentsQuery = (filter: IncidentFilter) =>
  queryOptions({
    queryKey: [...incidentKeys.lists, filter],
    queryFn: () => incidentsPage(filter),
    refetchInterval: 60_000, // events tell of changes; this is for what they missed
    placeholderData: keepPreviousData,
  });

export const incidentQuery = (id: number | undefined) =>
  queryOptions({
    queryKey: incidentKeys.one(id ?? 0),
    queryFn: id === undefined ? skipToken : () => unwrap(api.GET("/api/v1/incidents/{incident_id}", { params: { path: { incident_id: id } } })),
  });

export const precisionQuery = (filter: PrecisionFilter) =>
  queryOptions({
    queryKey: [...incidentKeys.precision, filter],
    queryFn: () => unwrap(api.GET("/api/v1/incidents/precision", { params: { query: given(filter) } })),
    placeholderData: keepPreviousData,
  });

export const judgeIncident = (id: number, verdict: IncidentState) =>
  unwrap(api.POST("/api/v1/incidents/{incident_id}/verdict", { params: { path: { incident_id: id } }, body: { verdict } }));
