import { useQuery } from "@tanstack/react-query";
import { createRoute } from "@tanstack/react-router";

import { camerasQuery } from "../api/cameras";
import { type DayFilter, dayQuery } from "../api/scene";
import { EmptyState } from "../components/EmptyState";
import { ErrorState } from "../components/ErrorState";
import { CameraChoice, FilterBar } from "../components/FilterBar";
import { PageHeader } from "../components/PageHeader";
import { Skeleton } from "../components/Skeleton";
import { TextFilter } from "../components/TextFilter";
import { Button } from "../components/ui/Button";
import { INPUT } from "../components/ui/Field";
import { useNow } from "../components/useNow";
import { inShort, readSearch } from "../features/day/day.model";
import { DayList } from "../features/day/DayList";
import { addDays, dayIn, dayTitle } from "../lib/zone";
import { rootRoute } from "./root";

function WhatHappened() {
  const search = dayRoute.useSearch();
  const navigate = dayRoute.useNavigate();
  const now = useNow(60_000);
  const { data, error, isPending, refetch } = useQuery(dayQuery(search));
  const cameras = useQuery(camerasQuery).data?.items ?? [];
  const change = (changed: Partial<DayFilter>) => void navigate({ search: (old) => ({ ...old, ...changed }), replace: "text" in changed });
  const today = data && dayIn(data.timezone, now);
  const day = search.day ?? today;
  const go = (to: string) => change({ day: to === today ? undefined : to });
  const isNarrowed = search.text !== undefined || search.camera_id !== undefined;
  return (
    <>
      <PageHeader title="What happened" below={data && day && <p className="text-sm text-quiet">{`${dayTitle(day)} · ${data.timezone}`}</p>}>
        {data && <span className="text-sm text-quiet">{inShort(data.entries)}</span>}
      </PageHeader>
      <FilterBar label="Choose a day">
        <div className="flex items-center gap-1 max-sm:col-span-2">
          <Button icon="back" aria-label="Day before" disabled={!day} onClick={() => day && go(addDays(day, -1))} />
          <input type="date" aria-label="Day" value={day ?? ""} max={today} className={`${INPUT} max-sm:flex-1 sm:!w-auto`}
            onChange={(event) => change({ day: event.target.value || undefined })} />
          <Button icon="next" aria-label="Day after" disabled={!day || !today || day >= today} onClick={() => day && go(addDays(day, 1))} />
          {search.day !== undefined && <Button look="quiet" onClick={() => change({ day: undefined })}>Today</Button>}
        </div>
        <CameraChoice isWide cameras={cameras} value={search.camera_id} onChange={(camera_id) => change({ camera_id })} />
        <TextFilter label="Text in summaries and incidents" value={search.text ?? ""} className="max-sm:col-span-2 sm:!w-72" onChange={(text) => change({ text: text || undefined })} />
      </FilterBar>
      {error && !data && <ErrorState error={error} onRetry={() => void refetch()} />}
      {isPending && <Skeleton className="h-96" />}
      {data?.entries.length === 0 && (
        <EmptyState icon="day" title={isNarrowed ? "Nothing of that on this day" : "Nothing on this day"}>
          <p>{isNarrowed ? "Another camera or text may have it." : "Archives come here when they are analysed."}</p>
        </EmptyState>
      )}
      {data && data.entries.length > 0 && <DayList key={data.day} day={data} cameras={cameras} />}
    </>
  );
}

export const dayRoute = createRoute({ getParentRoute: () => rootRoute, path: "/day", validateSearch: readSearch, component: WhatHappened });
