import { type KeyboardEvent, memo, type PointerEvent, type RefObject, useEffect, useMemo, useRef, useState } from "react";

import { Card } from "../../components/Card";
import { Choices } from "../../components/Choices";
import { useWidth } from "../../components/useWidth";
import { position } from "../../lib/time";
import type { Clock } from "../../player/clock";
import { loudnessShare, type Mark, marks, pageOf, pitchShare, secondAt, ticks, type View, xOf } from "./plot.model";
import { figures, startOf, type Transcript, wordNear } from "./transcript.model";
import { colourOf } from "./voices";

const LEFT_PX = 52;
const RIGHT_PX = 12;
const ROOM_PX = 80;
/** Where the two plots begin, from the top. */
const LOUDNESS_PX = 26;
const PITCH_PX = LOUDNESS_PX + ROOM_PX + 30;
const BOTTOM_PX = PITCH_PX + ROOM_PX;
const HEIGHT_PX = BOTTOM_PX + 24;
const CLOSE_UP_S = 30;

interface Props {
  transcript: Transcript;
  clock: Clock;
  onSeek: (second: number) => void;
}

/** Loudness and pitch of every word over time, with where the video is; a click goes there. */
export function ProsodyPlot({ transcript, clock, onSeek }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const width = Math.max(0, useWidth(box) - LEFT_PX - RIGHT_PX);
  const { duration_s, inTime } = transcript;
  const isLong = duration_s > CLOSE_UP_S * 1.5;
  const [isClose, setIsClose] = useState(false);
  const view = useView(clock, duration_s, isClose && isLong);
  const drawn = useMemo(() => (width > 0 ? marks(inTime, view, width) : []), [inTime, view, width]);
  useSpokenValue(box, transcript, clock);
  const go = (event: PointerEvent) => {
    if (event.button > 0 || (event.type === "pointermove" && event.buttons !== 1)) return;
    const left = box.current?.getBoundingClientRect().left ?? 0;
    onSeek(secondAt(event.clientX - left - LEFT_PX, view, width));
  };
  const press = (event: KeyboardEvent) => {
    const near = wordNear(inTime, clock.now());
    const at = near ? inTime.indexOf(near) : 0;
    const to: Record<string, number> = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: inTime.length - 1 };
    const next = inTime[to[event.key] ?? -1];
    if (!next) return;
    event.preventDefault();
    onSeek(startOf(next));
  };
  return (
    <Card title="Loudness and pitch" flush
      beside={isLong && <Choices label="Stretch of time" value={isClose} options={[[false, "Whole"], [true, `${CLOSE_UP_S} s`]]} onChange={setIsClose} />}>
      <div ref={box} role="slider" tabIndex={0} aria-label="Loudness and pitch of the words over time" aria-valuemin={0} aria-valuemax={Math.round(duration_s)} aria-valuenow={0}
        className="relative cursor-pointer touch-pan-y select-none outline-offset-[-2px]" onPointerDown={go} onPointerMove={go} onKeyDown={press}>
        <svg aria-hidden width="100%" height={HEIGHT_PX} className="block">
          {width > 0 && <Drawing drawn={drawn} view={view} width={width} />}
        </svg>
        <Playhead clock={clock} view={view} width={width} />
      </div>
      <Reading transcript={transcript} clock={clock} />
    </Card>
  );
}

/** The whole, or the page of a close-up on which the video is. */
function useView(clock: Clock, durationS: number, isClose: boolean): View {
  const [page, setPage] = useState(0);
  useEffect(() => (isClose ? clock.follow((second) => setPage(pageOf(second, CLOSE_UP_S, durationS).from)) : undefined), [clock, durationS, isClose]);
  return useMemo(() => (isClose ? pageOf(page, CLOSE_UP_S, durationS) : { from: 0, to: Math.max(durationS, 1) }), [isClose, page, durationS]);
}

/** What those hear who do not see the plot. */
function useSpokenValue(box: RefObject<HTMLElement | null>, { inTime }: Transcript, clock: Clock): void {
  useEffect(() => {
    let said = "";
    return clock.follow((second) => {
      const word = wordNear(inTime, second);
      const text = word ? `${word.word}, ${figures(word)}` : position(second);
      if (text === said) return;
      said = text;
      box.current?.setAttribute("aria-valuenow", String(Math.round(second)));
      box.current?.setAttribute("aria-valuetext", text);
    });
  }, [box, inTime, clock]);
}

const LEVELS: [label: string, y: number][] = [
  ...[0, -20, -40, -60].map((db): [string, number] => [`${String(db).replace("-", "−")} dB`, LOUDNESS_PX + ROOM_PX * (1 - loudnessShare(db))]),
  ...[1000, 500, 200, 100].map((hz): [string, number] => [`${hz} Hz`, PITCH_PX + ROOM_PX * (1 - pitchShare(hz))]),
];

const Drawing = memo(function Drawing({ drawn, view, width }: { drawn: Mark[]; view: View; width: number }) {
  return (
    <g transform={`translate(${LEFT_PX} 0)`}>
      {[["Loudness", LOUDNESS_PX], ["Pitch", PITCH_PX]].map(([label, y]) => (
        <text key={label} x={0} y={Number(y) - 11} className="fill-ink text-[11px] font-medium">{label}</text>
      ))}
      {LEVELS.map(([label, y]) => (
        <g key={label}>
          <line x1={0} x2={width} y1={y} y2={y} className="stroke-line" />
          <text x={-8} y={y + 3.5} textAnchor="end" className="fill-quiet text-[10px]">{label}</text>
        </g>
      ))}
      {ticks(view, width).map((second) => (
        <text key={second} x={xOf(second, view, width)} y={BOTTOM_PX + 16} textAnchor={xOf(second, view, width) > width - RIGHT_PX ? "end" : "middle"} className="fill-quiet text-[10px]">{position(second)}</text>
      ))}
      {[...byVoice(drawn)].map(([voice, { loudness, pitch }]) => (
        <g key={voice}>
          <path d={loudness} fill={colourOf(voice)} opacity={0.75} />
          <path d={pitch} stroke={colourOf(voice)} strokeWidth={3} fill="none" strokeLinecap="round" />
        </g>
      ))}
    </g>
  );
});

/** Two paths for each speaker, so that thousands of words are a few elements. */
function byVoice(drawn: Mark[]): Map<number, { loudness: string; pitch: string }> {
  const paths = new Map<number, { loudness: string; pitch: string }>();
  for (const { voice, x, width, loudness, pitch } of drawn) {
    const path = paths.get(voice) ?? { loudness: "", pitch: "" };
    const height = Math.max(1, loudness * ROOM_PX);
    path.loudness += `M${x.toFixed(1)} ${(LOUDNESS_PX + ROOM_PX - height).toFixed(1)}h${width.toFixed(1)}v${height.toFixed(1)}h${(-width).toFixed(1)}z`;
    path.pitch += `M${x.toFixed(1)} ${(PITCH_PX + ROOM_PX * (1 - pitch)).toFixed(1)}h${width.toFixed(1)}`;
    paths.set(voice, path);
  }
  return paths;
}

/** Moved by hand: it goes on with every picture. */
function Playhead({ clock, view, width }: { clock: Clock; view: View; width: number }) {
  const line = useRef<HTMLDivElement>(null);
  useEffect(() => clock.follow((second) => {
    if (!line.current) return;
    line.current.hidden = second < view.from || second > view.to;
    line.current.style.transform = `translateX(${(LEFT_PX + xOf(second, view, width)).toFixed(1)}px)`;
  }), [clock, view, width]);
  return <div ref={line} data-playhead aria-hidden className="pointer-events-none absolute left-0 w-px bg-ink" style={{ top: LOUDNESS_PX - 6, height: BOTTOM_PX - LOUDNESS_PX + 6 }} />;
}

/** The word of the moment in figures. */
function Reading({ transcript: { inTime }, clock }: Pick<Props, "transcript" | "clock">) {
  const [word, setWord] = useState(() => wordNear(inTime, clock.now()));
  useEffect(() => clock.follow((second) => setWord(wordNear(inTime, second))), [clock, inTime]);
  if (!word) return null;
  return (
    <p className="flex flex-wrap gap-x-3 border-t border-line px-4 py-2 text-xs text-quiet">
      <b className="font-semibold text-ink">{word.word}</b>
      {figures(word)}
    </p>
  );
}
