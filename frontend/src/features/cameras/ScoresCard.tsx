import { useQuery } from "@tanstack/react-query";
import { useRef, useState } from "react";

import { type ScorePoint, scoresQuery, type ScoreStep } from "../../api/scene";
import { Card } from "../../components/Card";
import { Choices } from "../../components/Choices";
import { ErrorState } from "../../components/ErrorState";
import { Skeleton } from "../../components/Skeleton";
import { useNow } from "../../components/useNow";
import { useSiteZone } from "../../components/useSiteZone";
import { useWidth } from "../../components/useWidth";
import { scoreTone, type Tone } from "../../lib/format";
import { inShort, inWords, momentOf, nameOf, type Slot, SLOTS, slots } from "./scores.model";

const STEPS: Record<ScoreStep, string> = { hour: "24 hours", day: "30 days" };
const OPTIONS = Object.entries(STEPS) as [ScoreStep, string][];
const FILL: Record<Tone, string> = { good: "fill-good/55", warn: "fill-warn/65", bad: "fill-bad/70", info: "fill-info/50", quiet: "fill-quiet/35" };
const LEVELS = [100, 85, 60, 0];
const HEIGHT = 150;
const TOP = 20;
const BOTTOM = 20;
const LEFT = 26;
const MOST_DOTS = 3;
const DOT_PX = 5;
const TICK_PX = 64;

interface Props {
  cameraId: string;
  by: ScoreStep;
  onBy: (by: ScoreStep) => void;
}

/** How safe it was, by hour or day of the site's zone. */
export function ScoresCard({ cameraId, by, onBy }: Props) {
  const scores = useQuery(scoresQuery(cameraId, by));
  const zone = useSiteZone();
  const now = useNow(60_000);
  const shown = scores.data && zone !== null ? slots(scores.data.items, by, zone, now) : null;
  return (
    <Card title="Scores" beside={<Choices label="Length of the chart" value={by} options={OPTIONS} onChange={onBy} />}>
      {scores.error && !scores.data && <ErrorState error={scores.error} onRetry={() => void scores.refetch()} />}
      {!shown && !scores.error && <Skeleton className="h-44" />}
      {shown && zone !== null && <Chart shown={shown} by={by} zone={zone} now={now} />}
    </Card>
  );
}

interface ChartProps {
  shown: Slot[];
  by: ScoreStep;
  zone: string;
  now: number;
}

function Chart({ shown, by, zone, now }: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const [under, setUnder] = useState<ScorePoint | null>(null);
  const short = inShort(shown);
  const slot = (width - LEFT) / SLOTS[by];
  const x = (index: number) => LEFT + index * slot;
  const y = (score: number) => TOP + ((100 - score) / 100) * (HEIGHT - TOP - BOTTOM);
  const every = Math.max(1, Math.ceil(TICK_PX / Math.max(slot, 1)));
  return (
    <div>
      <div ref={box}>
        <svg role="img" aria-label={`Scores of the last ${STEPS[by]}: ${short ?? "none"}`} width={width} height={HEIGHT} className="block" onMouseLeave={() => setUnder(null)}>
          {LEVELS.map((level) => (
            <g key={level} className="text-quiet">
              <line x1={LEFT} x2={width} y1={y(level)} y2={y(level)} className="stroke-line" strokeDasharray={level % 100 === 0 ? undefined : "2 3"} />
              <text x={LEFT - 6} y={y(level)} textAnchor="end" dominantBaseline="central" className="fill-quiet text-[10px]">{level}</text>
            </g>
          ))}
          {Array.from({ length: SLOTS[by] }, (_, index) => index)
            .filter((index) => (SLOTS[by] - 1 - index) % every === 0)
            .map((index) => (
              <text key={index} x={Math.min(x(index) + slot / 2, width - 16)} y={HEIGHT - 5} textAnchor="middle" className="fill-quiet text-[10px]">
                {nameOf(momentOf(index, by, now), by, zone)}
              </text>
            ))}
          {width > 0 && shown.map(({ index, point }) => (
            <Bar key={point.starts_at} point={point} x={x(index)} width={slot} y={y} onOver={() => setUnder(point)} isUnder={under === point} />
          ))}
        </svg>
      </div>
      <p className="mt-2 min-h-4 text-xs text-quiet">{under ? inWords(under, by, zone) : (short ?? "No archive of this time is analysed yet.")}{` · ${zone}`}</p>
      <Legend />
      <ul className="sr-only">{shown.map(({ point }) => <li key={point.starts_at}>{inWords(point, by, zone)}</li>)}</ul>
    </div>
  );
}

interface BarProps {
  point: ScorePoint;
  x: number;
  width: number;
  y: (score: number) => number;
  isUnder: boolean;
  onOver: () => void;
}

/** The mean as a bar, the lowest as a mark across it, incidents as dots above. */
function Bar({ point, x, width, y, isUnder, onOver }: BarProps) {
  const gap = Math.min(3, width * 0.15);
  const bar = Math.max(1, width - 2 * gap);
  const dots = Math.min(point.incidents, MOST_DOTS);
  const top = y(point.mean);
  return (
    <g onMouseEnter={onOver} onClick={onOver}>
      <rect x={x} y={0} width={width} height={HEIGHT - BOTTOM} className={isUnder ? "fill-raised" : "fill-transparent"} />
      <rect x={x + gap} y={top} width={bar} height={Math.max(1, y(0) - top)} rx={Math.min(2, bar / 2)} className={FILL[scoreTone(point.mean)]} />
      <line x1={x + gap} x2={x + gap + bar} y1={y(point.least)} y2={y(point.least)} strokeWidth={2} className="stroke-ink" />
      {Array.from({ length: dots }, (_, n) => (
        <circle key={n} cx={x + width / 2} cy={TOP - 5 - n * DOT_PX} r={2} className="fill-bad" />
      ))}
    </g>
  );
}

const Legend = () => (
  <ul aria-label="Marks" className="mt-1.5 flex flex-wrap gap-x-4 gap-y-1 text-[11px] text-quiet">
    <li className="flex items-center gap-1.5"><i aria-hidden className="size-2.5 rounded-xs bg-good/55" />mean score</li>
    <li className="flex items-center gap-1.5"><i aria-hidden className="h-0.5 w-3 bg-ink" />lowest score</li>
    <li className="flex items-center gap-1.5"><i aria-hidden className="size-1.5 rounded-full bg-bad" />{`incident (at most ${MOST_DOTS} dots)`}</li>
  </ul>
);
