/** Which of a camera's live views a small picture plays: that of its substream while it is there. */
import { useQuery } from "@tanstack/react-query";

const LOOK_EVERY_MS = 5000;

/** The playlist to play; null for the moment in which it is not known yet. */
export function useTileUrl(mainUrl: string, subUrl: string | null): string | null {
  const { data: isThere } = useQuery({
    queryKey: ["live", subUrl],
    queryFn: ({ signal }) =>
      fetch(subUrl ?? mainUrl, { signal }).then(
        (answer) => answer.ok,
        () => false,
      ),
    enabled: subUrl !== null,
    refetchInterval: LOOK_EVERY_MS,
  });
  if (subUrl === null) return mainUrl;
  if (isThere === undefined) return null;
  return isThere ? subUrl : mainUrl;
}
