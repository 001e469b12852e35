import type { Camera } from "../../api/cameras";
import type { Costs } from "../../api/scene";
import { Card } from "../../components/Card";
import { count, percent, thousands, usd } from "../../lib/format";
import { shortDay } from "../../lib/zone";
import { type CostEntry, costRows, type CostRow, lastDays, shareOf } from "./models.model";

const NEARLY = 0.8;

/** What models cost, by camera and day, and how much of today's caps is spent. */
export function CostsTable({ costs, cameras, today }: { costs: Costs; cameras: Camera[]; today: string }) {
  const days = lastDays(today);
  return (
    <Card title="Costs" flush beside={<span className="text-xs text-quiet">{`last ${days.length} days, ${costs.timezone}`}</span>}>
      <div className="overflow-x-auto">
        <table aria-label="Costs" className="w-full text-sm">
          <thead className="border-b border-line text-xs text-quiet">
            <tr>
              <th scope="col" className="px-4 py-2 text-left font-medium">Camera</th>
              <th scope="col" className="px-3 py-2 text-left font-medium">Cap of a day</th>
              {days.map((day, n) => <th key={day} scope="col" className="px-3 py-2 text-right font-medium whitespace-nowrap last:pr-4">{n === 0 ? "Today" : shortDay(day)}</th>)}
            </tr>
          </thead>
          <tbody className="divide-y divide-line">
            {costRows(costs, cameras, days).map((row) => (
              <tr key={row.id ?? ""} className={row.id === null ? "font-semibold" : "font-normal"}>
                <th scope="row" className="max-w-56 min-w-28 px-4 py-2 text-left [font-weight:inherit] wrap-anywhere">{row.name}</th>
                <td className="px-3 py-2 font-normal"><Cap row={row} /></td>
                {row.days.map((entry, n) => <td key={days[n]} title={entry ? explain(entry) : undefined} className="px-3 py-2 text-right whitespace-nowrap last:pr-4">{entry ? usd(entry.cost_usd) : <span className="text-quiet">–</span>}</td>)}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}

const explain = (entry: CostEntry): string =>
  `${count(entry.calls, "call")}, ${thousands(entry.input_tokens)} tokens in, ${thousands(entry.output_tokens)} out`;

function Cap({ row }: { row: CostRow }) {
  const share = shareOf(row);
  if (share === null || row.cap === null) return <span className="text-xs text-quiet">no cap</span>;
  const look = share >= 1 ? "bg-bad" : share >= NEARLY ? "bg-warn" : "bg-accent";
  return (
    <div className="w-32">
      <div role="meter" aria-label={`Spent today of ${row.name}'s cap`} aria-valuenow={Math.round(share * 100)} aria-valuemin={0} aria-valuemax={100}
        className="h-1.5 overflow-hidden rounded-full bg-line">
        <div className={`h-full rounded-full ${look}`} style={{ width: percent(share).replace(" ", "") }} />
      </div>
      <p className="mt-1 text-xs whitespace-nowrap text-quiet">{`${percent(share)} of ${usd(row.cap)}`}</p>
    </div>
  );
}
