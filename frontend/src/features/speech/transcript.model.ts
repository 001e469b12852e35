/** What was heard, as the page reads it: words in order of time, and which of them is spoken when. Pure. */
import { percent } from "../../lib/format";
import { position } from "../../lib/time";

export interface Word {
  word: string;
  start: number;
  end: number;
  volume_db: number;
  pitch_hz: number;
  confidence: number;
}

export interface Segment {
  start_time: number;
  end_time: number;
  speaker: { speaker_id: string };
  text: string;
  confidence: number;
  words: Word[];
  emotion?: { label: string; score: number; backend: string };
}

/** The result of a speech job. */
export interface SpeechResult {
  metadata: {
    filename: string;
    duration: number;
    total_segments: number;
    unique_speakers: number;
    language: string | null;
    backends: Record<string, string>;
    remarks: string[];
  };
  segments: Segment[];
}

/** A word with its place: `index` counts the words of the whole transcript as it is read. */
export interface SpokenWord extends Word {
  index: number;
  voice: number;
}

export interface Utterance {
  id: number;
  start: number;
  speaker: string;
  voice: number;
  words: SpokenWord[];
  emotion: string | null;
}

export interface Transcript {
  utterances: Utterance[];
  /** As they are read; `words[n].index` is n. */
  words: SpokenWord[];
  /** As they begin: people talk across each other. */
  inTime: SpokenWord[];
  /** Ids of the speakers by their first appearance; a word's `voice` is its speaker's place here. */
  speakers: string[];
  duration_s: number;
}

/** Below this a word is marked as unsure. */
export const UNSURE_BELOW = 0.5;
/** A short gap is still the word before it, or its mark would flicker, s. */
const HOLD_S = 0.35;
/** Colours there are; a ninth speaker looks like the first, and has another name. */
export const VOICES = 8;

export function readTranscript({ metadata, segments }: SpeechResult): Transcript {
  const speakers = [...new Set(segments.map((one) => one.speaker.speaker_id))];
  const words: SpokenWord[] = [];
  const utterances = segments.map((segment, id): Utterance => {
    const voice = speakers.indexOf(segment.speaker.speaker_id);
    const own = segment.words.map((word, n): SpokenWord => ({ ...word, index: words.length + n, voice }));
    for (const word of own) words.push(word);
    return { id, start: segment.start_time, speaker: speakerName(segment.speaker.speaker_id), voice, words: own, emotion: segment.emotion?.label ?? null };
  });
  const inTime = [...words].sort((a, b) => a.start - b.start);
  return { utterances, words, inTime, speakers: speakers.map(speakerName), duration_s: Math.max(metadata.duration, words.at(-1)?.end ?? 0) };
}

/** "SPEAKER_01" -> "Speaker 1" */
export const speakerName = (id: string): string => id.replace(/^SPEAKER_0*(?=\d)/, "Speaker ");

/** How many words begin at or before a second. */
function begunBy(inTime: readonly Pick<Word, "start">[], second: number): number {
  let low = 0;
  let high = inTime.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((inTime[middle]?.start ?? Infinity) <= second) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The word that is spoken at a second; null in a pause. Of two at once, the one that began last. */
export function wordAt(inTime: readonly SpokenWord[], second: number): SpokenWord | null {
  const word = inTime[begunBy(inTime, second) - 1];
  return word && second < word.end + HOLD_S ? word : null;
}

/** The word next to a second: the one that is spoken, or else the last before it, or the first. */
export const wordNear = (inTime: readonly SpokenWord[], second: number): SpokenWord | null =>
  inTime[Math.max(0, begunBy(inTime, second) - 1)] ?? null;

/** Half a millisecond in, so that a video lands on this word and not on the one before. */
export const startOf = ({ start }: Pick<Word, "start">): number => start + 0.0005;

/** A word in figures: "0:05 · −21.7 dB · 212 Hz · 67 % sure". */
export const figures = ({ start, volume_db, pitch_hz, confidence }: Word): string =>
  [position(start), `${volume_db.toFixed(1).replace("-", "−")} dB`, `${Math.round(pitch_hz)} Hz`, `${percent(confidence)} sure`].join(" · ");

const languages = new Intl.DisplayNames(["en"], { type: "language" });

/** "en" -> "English" */
export function languageName(code: string): string {
  try {
    return languages.of(code) ?? code;
  } catch {
    return code; // no code of a language
  }
}
