import { Card } from "../../components/Card";
import { SeverityBadge } from "../../components/SeverityBadge";
import { Button } from "../../components/ui/Button";
import { percent } from "../../lib/format";
import { leadOf } from "../../lib/lead";
import { position } from "../../lib/time";
import type { FoundIncident } from "./job.model";

interface Props {
  incidents: FoundIncident[];
  /** Plays the archive from a second on; null where there is nothing to play. */
  onPlay: ((second: number) => void) | null;
}

/** What was found in one archive, and the evidence for it. */
export function JobIncidents({ incidents, onPlay }: Props) {
  return (
    <Card title={`Incidents (${incidents.length})`} flush>
      {incidents.length === 0 && <p className="px-4 py-6 text-center text-sm text-quiet">Nothing was found in this archive.</p>}
      <ul className="divide-y divide-line">
        {incidents.map((incident) => (
          <li key={`${incident.t_start} ${incident.t_end} ${incident.category}`} className="flex items-start gap-3 px-4 py-3 text-sm">
            <div className="min-w-0 flex-1">
              <p className="flex flex-wrap items-center gap-x-3 gap-y-1">
                <SeverityBadge category={incident.category} severity={incident.severity} />
                <span>{`${position(incident.t_start)} – ${position(incident.t_end)}`}</span>
                <span className="text-quiet">{`severity ${incident.severity} of 4, ${percent(incident.confidence)} confident`}</span>
              </p>
              <ul className="mt-1.5 space-y-0.5 text-xs text-quiet">
                {incident.evidence.map((seen, n) => (
                  <li key={n} className="flex gap-3">
                    <span className="w-9 shrink-0 text-right">{position(seen.t)}</span>
                    {seen.note}
                  </li>
                ))}
              </ul>
            </div>
            {onPlay && (
              <Button look="quiet" icon="play" aria-label={`Play from ${position(incident.t_start)}`}
                onClick={() => onPlay(leadOf(incident))} />
            )}
          </li>
        ))}
      </ul>
    </Card>
  );
}
