/** Callbacks to other servers: keys, queries, sending one again. */
import { keepPreviousData, queryOptions, skipToken } from "@tanstack/react-query";

import { api, given, type Schemas, unwrap } from "./client";

export type Callback = Schemas["CallbackView"];
export type CallbackState = Schemas["CallbackState"];

export interface CallbackFilter {
  state?: CallbackState[] | undefined;
  /** The number of the queue's job. */
  job_id?: number | undefined;
  cursor?: string | undefined;
  limit?: number | undefined;
}

export const callbackKeys = {
  all: ["callbacks"] as const,
  one: (id: number) => ["callbacks", "one", id] as const,
};

const CALM_MS = 15_000;
const PENDING_MS = 4_000;

/** Asked more often while something is under way: deliveries have no events. */
export const callbacksQuery = (filter: CallbackFilter) =>
  queryOptions({
    queryKey: [...callbackKeys.all, "list", filter],
    queryFn: () => unwrap(api.GET("/api/v1/callbacks", { params: { query: given(filter) } })),
    refetchInterval: (query) => (query.state.data?.items.some((one) => one.state === "pending") ? PENDING_MS : CALM_MS),
    placeholderData: keepPreviousData,
  });

const MOST_COUNTED = 100;

/** How many were given up, in words: "3", "100+". */
export const deadCountQuery = queryOptions({
  queryKey: [...callbackKeys.all, "dead"],
  queryFn: () => unwrap(api.GET("/api/v1/callbacks", { params: { query: { state: ["dead"], limit: MOST_COUNTED } } })),
  select: (page) => (page.next_cursor === null ? String(page.items.length) : `${MOST_COUNTED}+`),
  refetchInterval: CALM_MS,
});

/** One with its body. */
export const callbackQuery = (id: number | undefined) =>
  queryOptions({
    queryKey: callbackKeys.one(id ?? 0),
    queryFn: id === undefined ? skipToken : () => unwrap(api.GET("/api/v1/callbacks/{callback_id}", { params: { path: { callback_id: id } } })),
  });

const LOOKS = 8;
const LOOK_MS = 400;

/** Send one again, and wait a moment for what becomes of it: a list by state would lose sight of it meanwhile. */
export async function redeliver(id: number): Promise<Callback> {
  const params = { path: { callback_id: id } };
  let one: Callback = await unwrap(api.POST("/api/v1/callbacks/{callback_id}/redeliver", { params }));
  for (let look = 0; look < LOOKS && one.state === "pending" && one.attempts === 0; look += 1) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    one = await unwrap(api.GET("/api/v1/callbacks/{callback_id}", { params }));
  }
  return one;
}
