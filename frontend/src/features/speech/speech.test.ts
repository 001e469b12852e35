import { expect, test } from "vitest";

import { loudnessShare, marks, pageOf, pitchShare, secondAt, ticks } from "./plot.model";
import { figures, readTranscript, type Segment, speakerName, type SpeechResult, startOf, type Word, wordAt, wordNear } from "./transcript.model";

const word = (text: string, start: number, end: number, more: Partial<Word> = {}): Word => ({ word: text, start, end, volume_db: -20, pitch_hz: 200, confidence: 0.9, ...more });

function result(...said: [speaker: number, words: Word[]][]): SpeechResult {
  const segments = said.map(([speaker, words]): Segment => ({
    start_time: words[0]?.start ?? 0, end_time: words.at(-1)?.end ?? 0, speaker: { speaker_id: `SPEAKER_0${speaker}` },
    text: words.map((one) => one.word).join(" "), confidence: 0.9, words,
  }));
  const metadata = { filename: "a.mp4", duration: 10, total_segments: segments.length, unique_speakers: 1, language: "en", backends: {}, remarks: [] };
  return { metadata, segments };
}

const two = readTranscript(result([2, [word("one", 1, 1.5), word("two", 1.5, 2)]], [1, [word("three", 4, 4.4)]]));

test("the word at a second is the one that is spoken then, and none in a pause", () => {
  expect(wordAt(two.inTime, 0.9)).toBeNull();
  expect(wordAt(two.inTime, 1)?.word).toBe("one");
  expect(wordAt(two.inTime, 1.5)?.word).toBe("two");
  expect(wordAt(two.inTime, 2.2)?.word).toBe("two"); // held over a short gap
  expect(wordAt(two.inTime, 3)).toBeNull();
  expect(wordAt(two.inTime, 9)).toBeNull();
  expect(wordAt([], 1)).toBeNull();
});

test("a word that was clicked is the word at the second that is sought", () => {
  for (const one of two.words) expect(wordAt(two.inTime, startOf(one))).toBe(one);
});

test("of two people at once the one who began last is marked, wherever it is written", () => {
  const across = readTranscript(result([1, [word("long", 1, 5), word("later", 5, 6)]], [2, [word("short", 2, 3)]]));
  expect(wordAt(across.inTime, 2.5)?.word).toBe("short");
  expect(wordAt(across.inTime, 5.5)?.word).toBe("later");
});

test("near a pause is the word before it, and before all the first one", () => {
  expect(wordNear(two.inTime, 3)?.word).toBe("two");
  expect(wordNear(two.inTime, 0)?.word).toBe("one");
  expect(wordNear([], 0)).toBeNull();
});

test("speakers have their colours by who speaks first, and words their places", () => {
  expect(two.speakers).toEqual(["Speaker 2", "Speaker 1"]);
  expect(two.utterances.map(({ voice }) => voice)).toEqual([0, 1]);
  expect(two.words.map(({ index }) => index)).toEqual([0, 1, 2]);
});

test("a speaker has a name to read, whatever the id is", () => {
  expect(["SPEAKER_01", "SPEAKER_12", "SPEAKER_00", "Ann"].map(speakerName)).toEqual(["Speaker 1", "Speaker 12", "Speaker 0", "Ann"]);
});

test("a video without speech is a transcript without words", () => {
  const silent = readTranscript(result());
  expect([silent.words, silent.utterances, silent.speakers]).toEqual([[], [], []]);
  expect(silent.duration_s).toBe(10);
});

test("a word in figures has a true minus", () => {
  expect(figures(word("a", 75, 76, { volume_db: -21.68 }))).toBe("1:15 · −21.7 dB · 200 Hz · 90 % sure");
});

test("loudness and pitch fill their room from the least to the most", () => {
  expect([-60, -30, 0, 3].map(loudnessShare)).toEqual([0, 0.5, 1, 1]);
  expect([100, 1000, 50].map(pitchShare)).toEqual([0, 1, 0]);
  expect(pitchShare(Math.sqrt(100 * 1000))).toBeCloseTo(0.5);
});

test("nine thousand words become no more marks than there is room for, and the loudest is not lost", () => {
  const many = Array.from({ length: 9000 }, (_, n) => word("a", n * 0.4, n * 0.4 + 0.3, n === 4500 ? { volume_db: 0 } : {}));
  const read = readTranscript(result([1, many]));
  const drawn = marks(read.inTime, { from: 0, to: 3600 }, 800);
  expect(drawn.length).toBeLessThanOrEqual(401);
  expect(Math.max(...drawn.map(({ loudness }) => loudness))).toBe(1);
  expect(drawn.every(({ x, width }) => x >= 0 && x + width <= 802)).toBe(true);
});

test("a close-up draws each of its words, and none of other pages", () => {
  expect(marks(two.inTime, { from: 0, to: 3 }, 300).map(({ x }) => x)).toEqual([100, 150]);
});

test("marks of several words have the colour of who says most of them", () => {
  const read = readTranscript(result([1, [word("a", 1, 1.01)]], [2, [word("b", 1.01, 1.02), word("c", 1.02, 1.03)]]));
  expect(marks(read.inTime, { from: 0, to: 1000 }, 100).map(({ voice }) => voice)).toEqual([1]);
});

test("a close-up turns its pages with the time and ends with the video", () => {
  expect(pageOf(31, 30, 70)).toEqual({ from: 30, to: 60 });
  expect(pageOf(70, 30, 70)).toEqual({ from: 60, to: 70 });
  expect(pageOf(0, 30, 0).to).toBeGreaterThan(0);
});

test("a click on the plot means the second under it, and never one outside", () => {
  expect(secondAt(150, { from: 30, to: 60 }, 300)).toBe(45);
  expect([secondAt(-5, { from: 30, to: 60 }, 300), secondAt(400, { from: 30, to: 60 }, 300)]).toEqual([30, 60]);
});

test("times under the plot are round and have room", () => {
  expect(ticks({ from: 0, to: 13 }, 640)).toEqual([0, 2, 4, 6, 8, 10, 12]);
  expect(ticks({ from: 30, to: 60 }, 300)).toEqual([30, 40, 50, 60]);
  expect(ticks({ from: 0, to: 3600 }, 640)).toHaveLength(7);
});
