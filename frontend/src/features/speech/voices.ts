/** A colour for each speaker; the classes are written out, for the build to find them. */
import { VOICES } from "./transcript.model";

const TEXT = ["text-voice-1", "text-voice-2", "text-voice-3", "text-voice-4", "text-voice-5", "text-voice-6", "text-voice-7", "text-voice-8"];
const BORDER = ["border-voice-1", "border-voice-2", "border-voice-3", "border-voice-4", "border-voice-5", "border-voice-6", "border-voice-7", "border-voice-8"];
const MARK = [
  "[&_[aria-current]]:bg-voice-1/25", "[&_[aria-current]]:bg-voice-2/25", "[&_[aria-current]]:bg-voice-3/25", "[&_[aria-current]]:bg-voice-4/25",
  "[&_[aria-current]]:bg-voice-5/25", "[&_[aria-current]]:bg-voice-6/25", "[&_[aria-current]]:bg-voice-7/25", "[&_[aria-current]]:bg-voice-8/25",
];

export const textOf = (voice: number): string => TEXT[voice % VOICES] ?? "";
export const borderOf = (voice: number): string => BORDER[voice % VOICES] ?? "";
/** Of the word that is spoken. */
export const markOf = (voice: number): string => MARK[voice % VOICES] ?? "";
/** For what is drawn. */
export const colourOf = (voice: number): string => `var(--voice-${(voice % VOICES) + 1})`;
