import { useQuery } from "@tanstack/react-query";

import { costsQuery } from "../api/scene";

/** The site's time zone; null until it is known, and the reader's own where it cannot be had. */
export function useSiteZone(): string | null {
  const { data, error } = useQuery({ ...costsQuery, select: (costs) => costs.timezone });
  return data ?? (error ? Intl.DateTimeFormat().resolvedOptions().timeZone : null);
}
