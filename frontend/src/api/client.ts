/** The one client: same origin, typed from the API's own description, errors as `ApiError`. */
import createClient from "openapi-fetch";

import type { components, paths } from "./schema";

export type Schemas = components["schemas"];

export const api = createClient<paths>();

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The data of an answer; throws what the server said went wrong. */
export async function unwrap<T>(asked: Promise<Answer<T>>): Promise<T> {
  let answer: Answer<T>;
  try {
    answer = await asked;
  } catch {
    throw new ApiError(0, "unreachable", "The server cannot be reached.");
  }
  if (answer.response.ok) return answer.data as T;
  throw refusal(answer.response.status, answer.error);
}

/** What went wrong as the server said it, if it did. */
export function refusal(status: number, body: unknown): ApiError {
  const said = (body as { error?: { code?: string; message?: string } } | null | undefined)?.error;
  return new ApiError(status, said?.code ?? "http_error", said?.message ?? `The server answered ${status}.`);
}

/** Without what is undefined: a query has a field or has it not. */
export const given = <T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> };
