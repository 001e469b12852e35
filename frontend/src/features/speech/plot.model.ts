/** Loudness and pitch of words as marks to draw: as many as there is room for, however many words. Pure. */
import type { SpokenWord } from "./transcript.model";

export const LEAST_DB = -60;
const LEAST_HZ = 100;
const MOST_HZ = 1000;

/** A stretch of time from the plot's left to its right edge, s. */
export interface View {
  from: number;
  to: number;
}

/** One bar, px; heights are shares of the room, 0 to 1. */
export interface Mark {
  x: number;
  width: number;
  loudness: number;
  pitch: number;
  voice: number;
}

/** -60 dB -> 0, 0 dB -> 1 */
export const loudnessShare = (db: number): number => clamp((db - LEAST_DB) / -LEAST_DB);

/** 100 Hz -> 0, 1000 Hz -> 1; the ear hears ratios. */
export const pitchShare = (hz: number): number => clamp(Math.log(hz / LEAST_HZ) / Math.log(MOST_HZ / LEAST_HZ));

const clamp = (share: number): number => Math.min(1, Math.max(0, share));

/** So wide is a mark at least, px: where words are closer, some share one. */
const LEAST_PX = 2;

export const xOf = (second: number, { from, to }: View, width: number): number => ((second - from) / (to - from)) * width;
export const secondAt = (x: number, { from, to }: View, width: number): number => from + Math.min(1, Math.max(0, x / width)) * (to - from);

/**
 * The marks of a view. Words whose marks would lie upon each other become one: as loud as the
 * loudest of them, with the pitch in their middle, in the colour of who says most of them.
 */
export function marks(inTime: readonly SpokenWord[], view: View, width: number): Mark[] {
  const groups = new Map<number, SpokenWord[]>();
  for (const word of inTime) {
    if (word.end < view.from || word.start > view.to) continue;
    const column = Math.floor(xOf(word.start, view, width) / LEAST_PX);
    const group = groups.get(column);
    if (group) group.push(word);
    else groups.set(column, [word]);
  }
  return [...groups.values()].map((group) => mark(group, view, width));
}

function mark(group: SpokenWord[], view: View, width: number): Mark {
  const first = group[0] as SpokenWord;
  const x = Math.max(0, xOf(first.start, view, width));
  const end = Math.min(width, Math.max(...group.map((word) => xOf(word.end, view, width))));
  const pitches = group.map((word) => word.pitch_hz).sort((a, b) => a - b);
  return {
    x,
    width: Math.max(LEAST_PX - 0.5, end - x - 0.5),
    loudness: loudnessShare(Math.max(...group.map((word) => word.volume_db))),
    pitch: pitchShare(pitches[pitches.length >> 1] as number),
    voice: mostOften(group.map((word) => word.voice)),
  };
}

function mostOften(values: number[]): number {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].reduce((best, one) => (one[1] > best[1] ? one : best))[0];
}

/** Of a close-up: the page of time that a second lies on. */
export function pageOf(second: number, lengthS: number, durationS: number): View {
  const from = Math.max(0, Math.floor(Math.min(second, durationS - 0.001) / lengthS) * lengthS);
  return { from, to: Math.min(from + lengthS, Math.max(durationS, from + 1)) };
}

const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];
const TICK_PX = 64;

/** Round seconds to write under the plot, so that their labels have room. */
export function ticks(view: View, width: number): number[] {
  const most = Math.max(1, Math.floor(width / TICK_PX));
  const step = STEPS_S.find((one) => (view.to - view.from) / one <= most) ?? 7200;
  const first = Math.ceil(view.from / step);
  return Array.from({ length: Math.floor(view.to / step) - first + 1 }, (_, n) => (first + n) * step);
}
