import { useQuery } from "@tanstack/react-query";

import type { Camera } from "../../api/cameras";
import { type Precision, type PrecisionFilter, precisionQuery } from "../../api/incidents";
import { Card } from "../../components/Card";
import { ErrorState } from "../../components/ErrorState";
import { Skeleton } from "../../components/Skeleton";
import { percent, title } from "../../lib/format";
import { total } from "./incidents.model";

const HEADS = ["Confirmed", "Rejected", "Open", "Precision"];
const CELL = "px-2 py-1.5 text-right last:pr-4";

type Counts = Pick<Precision, "confirmed" | "rejected" | "open" | "precision">;

/** How often people found a camera's incidents to be right, by category. */
export function PrecisionTable({ filter, cameras }: { filter: PrecisionFilter; cameras: Camera[] }) {
  const precision = useQuery(precisionQuery(filter));
  const rows = precision.data?.items ?? [];
  const all = total(rows);
  return (
    <Card title="Precision" flush beside={<span className="text-xs text-quiet">confirmed of those with a verdict</span>}>
      {precision.isPending && <Skeleton className="m-4 h-20" />}
      {precision.error && !precision.data && <ErrorState error={precision.error} onRetry={() => void precision.refetch()} />}
      {precision.data && rows.length === 0 && <p className="px-4 py-6 text-center text-sm text-quiet">There is no incident to judge yet.</p>}
      {rows.length > 0 && (
        <div className="max-h-96 overflow-auto">
          <table aria-label="Precision" className="w-full text-sm">
            <thead className="sticky top-0 bg-surface text-xs text-quiet">
              <tr>
                <th scope="col" className="px-4 py-1.5 text-left font-medium">Camera and category</th>
                {HEADS.map((head) => <th key={head} scope="col" className={`font-medium ${CELL}`}>{head}</th>)}
              </tr>
            </thead>
            <tbody className="divide-y divide-line border-t border-line">
              {rows.map((row) => (
                <Row key={`${row.camera_id} ${row.category}`} counts={row}>
                  <span className="block">{title(row.category)}</span>
                  <span className="block text-xs wrap-anywhere text-quiet">{cameras.find((camera) => camera.id === row.camera_id)?.name ?? row.camera_id}</span>
                </Row>
              ))}
              {all && <Row counts={all}><b className="font-semibold">All together</b></Row>}
            </tbody>
          </table>
        </div>
      )}
    </Card>
  );
}

function Row({ counts, children }: { counts: Counts; children: React.ReactNode }) {
  return (
    <tr>
      <th scope="row" className="px-4 py-1.5 text-left font-normal">{children}</th>
      <td className={CELL}>{counts.confirmed}</td>
      <td className={CELL}>{counts.rejected}</td>
      <td className={CELL}>{counts.open}</td>
      <td className={`font-semibold ${CELL}`}>{counts.precision === null ? "–" : percent(counts.precision)}</td>
    </tr>
  );
}
