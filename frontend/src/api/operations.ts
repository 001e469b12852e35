/** Health and the session: queries, mutations. */
import { queryOptions } from "@tanstack/react-query";

import { api, type Schemas, unwrap } from "./client";

export type Health = Schemas["Health"];
export type Session = Schemas["SessionView"];

export const operationKeys = { health: ["health"] as const, session: ["session"] as const };

export const healthQuery = queryOptions({
  queryKey: operationKeys.health,
  queryFn: () => unwrap(api.GET("/health")),
  refetchInterval: 10_000,
});

export const sessionQuery = queryOptions({
  queryKey: operationKeys.session,
  queryFn: () => unwrap(api.GET("/api/v1/session")),
  staleTime: 60_000,
});

const MAY_CHANGE: Record<Session["role"], boolean> = { public: false, service: false, viewer: false, operator: true, admin: true };

/** Whether the caller may change cameras and jobs. The server decides anyway; this is for what the page offers. */
export const mayChange = (session: Session | undefined): boolean => session !== undefined && MAY_CHANGE[session.role];

export const logIn = (password: string) => unwrap(api.POST("/api/v1/session", { body: { password } }));
export const logOut = () => unwrap(api.DELETE("/api/v1/session"));
