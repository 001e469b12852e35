import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";

import type { Camera } from "../../api/cameras";
import { type Incident, incidentQuery, type IncidentState } from "../../api/incidents";
import { Card } from "../../components/Card";
import { EmptyState } from "../../components/EmptyState";
import { Skeleton } from "../../components/Skeleton";
import { Button } from "../../components/ui/Button";
import { useIsWide } from "../../components/useIsWide";
import { useMayChange } from "../../components/useMayChange";
import { IncidentCard } from "./IncidentCard";
import { IncidentDetail } from "./IncidentDetail";
import { type Action, stepFrom } from "./incidents.model";
import { useKeys } from "./useKeys";
import { useVerdict } from "./useVerdict";

interface Props {
  items: Incident[];
  /** The opened incident, which need not be among them. */
  opened: number | undefined;
  cameras: Camera[];
  zone: string;
  onOpen: (id: number | undefined) => void;
  beside: React.ReactNode;
}

/** Incidents as cards, and the opened one: beside them, or below its card where there is no room. */
export function IncidentReview({ items, opened, cameras, zone, onOpen, beside }: Props) {
  const isWide = useIsWide();
  const mayChange = useMayChange();
  const verdict = useVerdict();
  const one = useQuery(incidentQuery(opened));
  const index = items.findIndex((incident) => incident.id === opened);
  const lastIndex = useRef(0);
  const incident = index === -1 ? (one.data?.id === opened ? one.data : undefined) : items[index];
  const nameOf = (id: string) => cameras.find((camera) => camera.id === id)?.name ?? id;

  useEffect(() => {
    if (index !== -1) lastIndex.current = index;
  }, [index]);
  useEffect(() => {
    if (opened !== undefined) document.querySelector(`[data-incident="${opened}"]`)?.scrollIntoView({ block: "nearest" });
  }, [opened]);
  const judge = (state: IncidentState) => {
    if (incident && mayChange && incident.state !== state) verdict.mutate({ incident, verdict: state });
  };
  useKeys((action: Action) => {
    if (action === "next" || action === "previous") {
      const next = stepFrom(items, opened, lastIndex.current, action);
      if (next !== undefined) onOpen(next);
    } else judge(action);
  });

  const failed = verdict.error && verdict.variables.incident.id === opened ? verdict.error : null;
  const detail = incident && (
    <IncidentDetail key={incident.id} incident={incident} camera={nameOf(incident.camera_id)} zone={zone} error={failed} onVerdict={mayChange ? judge : null} />
  );
  return (
    <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,1fr)_minmax(0,28rem)]">
      <div className="min-w-0 space-y-4">
        {!isWide && index === -1 && detail && <div className="overflow-hidden rounded-xl border border-line bg-surface">{detail}</div>}
        {items.length === 0 && <EmptyState icon="incidents" title={detail ? "No other incident is like that" : "No incident is like that"} />}
        <ul aria-label="Incidents" className="divide-y divide-line overflow-hidden rounded-xl border border-line bg-surface empty:hidden">
          {items.map((item) => (
            <li key={item.id} className="scroll-my-28">
              <IncidentCard incident={item} camera={nameOf(item.camera_id)} zone={zone} isOpen={item.id === opened}
                onOpen={() => onOpen(item.id === opened && !isWide ? undefined : item.id)} />
              {!isWide && item.id === opened && <div className="border-t border-line">{detail}</div>}
            </li>
          ))}
        </ul>
      </div>
      <div className="space-y-4 lg:sticky lg:top-20 lg:max-h-[calc(100dvh-6rem)] lg:overflow-y-auto">
        {isWide && (
          <Card title={incident ? `Incident #${incident.id}` : "Incident"} flush
            beside={incident && <Button look="quiet" icon="close" aria-label="Close the incident" onClick={() => onOpen(undefined)} />}>
            {detail ?? (opened !== undefined && one.isPending ? <Skeleton className="m-4 aspect-video" /> : <Hint isGone={one.error !== null} mayChange={mayChange} />)}
          </Card>
        )}
        {beside}
      </div>
    </div>
  );
}

function Hint({ isGone, mayChange }: { isGone: boolean; mayChange: boolean }) {
  return (
    <div className="space-y-3 px-4 py-8 text-center text-sm text-quiet">
      <p>{isGone ? "There is no such incident any more." : "Open an incident to see its clip."}</p>
      <p className="flex flex-wrap justify-center gap-x-4 gap-y-2 text-xs">
        <Keys keys="j k" what="next, previous" />
        {mayChange && (
          <>
            <Keys keys="c" what="confirm" />
            <Keys keys="r" what="reject" />
            <Keys keys="u" what="take back" />
          </>
        )}
      </p>
    </div>
  );
}

const Keys = ({ keys, what }: { keys: string; what: string }) => (
  <span className="inline-flex items-center gap-1">
    {keys.split(" ").map((key) => <kbd key={key} className="rounded border border-line bg-raised px-1.5 font-mono uppercase">{key}</kbd>)}
    {what}
  </span>
);
