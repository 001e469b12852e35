import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";

import { type Camera, cameraKeys, enableCamera, gapsQuery, segmentsQuery, storageQuery } from "../../api/cameras";
import type { ScoreStep } from "../../api/scene";
import { Card } from "../../components/Card";
import { Choices } from "../../components/Choices";
import { ErrorState } from "../../components/ErrorState";
import { FootageBadge } from "../../components/FootageBadge";
import { PageHeader } from "../../components/PageHeader";
import { Skeleton } from "../../components/Skeleton";
import { Button } from "../../components/ui/Button";
import { useMayChange } from "../../components/useMayChange";
import { useNow } from "../../components/useNow";
import { bytes, count } from "../../lib/format";
import { ArchiveList } from "./ArchiveList";
import { CameraDialog } from "./CameraDialog";
import { IncidentList } from "./IncidentList";
import { RemoveDialog } from "./RemoveDialog";
import { ScoresCard } from "./ScoresCard";
import { type Playing, Stage } from "./Stage";
import { Timeline } from "./Timeline";
import { following, type Place } from "./timeline.model";

export const RANGES = [1, 6, 24] as const;
export type Range = (typeof RANGES)[number];

interface Props {
  camera: Camera;
  hours: Range;
  scores: ScoreStep;
  onHours: (hours: Range) => void;
  onScores: (by: ScoreStep) => void;
  onRemoved: () => void;
}

/** One camera: live or an archive in the same place, the timeline, incidents and archives. */
export function CameraPage({ camera, hours, scores, onHours, onScores, onRemoved }: Props) {
  const [playing, setPlaying] = useState<Playing | null>(null);
  const [moment, setMoment] = useState<number | null>(null);
  const mayChange = useMayChange();
  const now = useNow();
  const segments = useQuery(segmentsQuery(camera.id, hours));
  const gaps = useQuery(gapsQuery(camera.id, hours));
  const span = useMemo(() => ({ from: now - hours * 3_600_000, to: now }), [now, hours]);
  const items = useMemo(() => segments.data ?? [], [segments.data]);
  const play = ({ segment, second }: Place) => setPlaying({ segment, second, seek: { second } });
  const backToLive = () => {
    setPlaying(null);
    setMoment(null);
  };
  const onEnded = () => {
    const next = playing && following(items, playing.segment);
    if (next) play({ segment: next, second: 0 });
    else backToLive();
  };
  return (
    <>
      <PageHeader title={camera.name} beside={<FootageBadge camera={camera} />}
        below={camera.description && <p className="mt-0.5 max-w-3xl text-sm text-quiet">{camera.description}</p>}>
        {mayChange && <Actions camera={camera} onRemoved={onRemoved} />}
      </PageHeader>
      <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,1fr)_22rem]">
        <div className="space-y-4">
          <Stage camera={camera} playing={playing} moment={moment} onMoment={setMoment} onEnded={onEnded} onLive={backToLive} />
          <Card title="Timeline" className="!overflow-visible"
            beside={<Choices label="Length of the timeline" value={hours} options={RANGES.map((range) => [range, `${range} h`])} onChange={onHours} />}>
            {segments.isPending && <Skeleton className="h-24" />}
            {segments.error && !segments.data && <ErrorState error={segments.error} onRetry={() => void segments.refetch()} />}
            {segments.data && (
              <Timeline span={span} segments={items} gaps={gaps.data?.items ?? []} playing={playing ? moment : null} onPick={play} />
            )}
          </Card>
          <ScoresCard cameraId={camera.id} by={scores} onBy={onScores} />
        </div>
        <div className="grid gap-4 max-lg:sm:grid-cols-2">
          <Card title="Incidents" flush beside={<span className="text-xs text-quiet">{`last ${hours} h`}</span>}>
            <div className="max-h-[24rem] overflow-y-auto">
              {segments.isPending ? <Skeleton className="m-4 h-24" /> : <IncidentList segments={items} onPlay={play} />}
            </div>
          </Card>
          <Card title="Archives" flush beside={<Stored id={camera.id} />}>
            <div className="max-h-[22rem] overflow-y-auto">
              {segments.isPending ? <Skeleton className="m-4 h-24" /> : <ArchiveList segments={items} playing={playing?.segment ?? null} onPlay={play} />}
            </div>
          </Card>
        </div>
      </div>
    </>
  );
}

function Stored({ id }: { id: string }) {
  const storage = useQuery(storageQuery(id));
  if (!storage.data) return null;
  return <span className="text-xs text-quiet">{`${count(storage.data.segments, "file")}, ${bytes(storage.data.size_bytes)}`}</span>;
}

function Actions({ camera, onRemoved }: { camera: Camera; onRemoved: () => void }) {
  const [dialog, setDialog] = useState<"edit" | "remove" | null>(null);
  const cache = useQueryClient();
  const enable = useMutation({
    mutationFn: () => enableCamera(camera.id, !camera.enabled),
    onSettled: () => cache.invalidateQueries({ queryKey: cameraKeys.all }),
  });
  return (
    <>
      {enable.error && <span role="alert" className="text-sm text-bad">{enable.error.message}</span>}
      <Button icon="power" onClick={() => enable.mutate()} disabled={enable.isPending}>
        {camera.enabled ? "Switch off" : "Switch on"}
      </Button>
      <Button icon="edit" onClick={() => setDialog("edit")}>Edit</Button>
      <Button icon="trash" look="danger" onClick={() => setDialog("remove")}>Remove</Button>
      {dialog === "edit" && <CameraDialog camera={camera} onClose={() => setDialog(null)} />}
      {dialog === "remove" && <RemoveDialog camera={camera} onClose={() => setDialog(null)} onRemoved={onRemoved} />}
    </>
  );
}
