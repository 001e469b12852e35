import { type KeyboardEvent, memo, type MouseEvent, type RefObject, useEffect, useRef, useState } from "react";

import { Card } from "../../components/Card";
import { Button } from "../../components/ui/Button";
import { position } from "../../lib/time";
import type { Clock } from "../../player/clock";
import { figures, type SpokenWord, startOf, type Transcript, UNSURE_BELOW, type Utterance, wordAt } from "./transcript.model";
import { borderOf, markOf, textOf } from "./voices";

interface Props {
  transcript: Transcript;
  clock: Clock;
  onSeek: (second: number) => void;
}

/** Keys that scroll: who presses one reads elsewhere. */
const SCROLLS = ["PageUp", "PageDown", "Home", "End"];

/** The transcript; the word that is spoken is marked and kept in sight, unless somebody reads elsewhere. */
export function TranscriptView({ transcript, clock, onSeek }: Props) {
  const list = useRef<HTMLDivElement>(null);
  const [follows, setFollows] = useState(true);
  const seek = (second: number) => {
    setFollows(true);
    onSeek(second);
  };
  const readElsewhere = () => {
    if (list.current && list.current.scrollHeight > list.current.clientHeight) setFollows(false);
  };
  useMarkedWord(list, transcript, clock, follows);
  const { words, speakers } = transcript;
  const wordOf = (target: EventTarget): SpokenWord | undefined => {
    const at = (target as Element).closest<HTMLElement>("[data-word]")?.dataset.word;
    return at === undefined ? undefined : words[Number(at)];
  };
  const click = (event: MouseEvent) => {
    const word = wordOf(event.target);
    if (word && window.getSelection()?.isCollapsed !== false) seek(startOf(word)); // a selection is for copying
  };
  const press = (event: KeyboardEvent) => {
    if (SCROLLS.includes(event.key)) readElsewhere();
    const word = wordOf(event.target);
    if (!word || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (event.key === "Enter" || event.key === " ") seek(startOf(word));
    else if (step !== 0) list.current?.querySelector<HTMLElement>(`[data-word="${word.index + step}"]`)?.focus();
    else return;
    event.preventDefault();
  };
  const name = (event: MouseEvent) => {
    const word = wordOf(event.target);
    if (word) (event.target as HTMLElement).title = figures(word);
  };
  return (
    <Card title="Transcript" flush beside={
      <span className="flex min-h-8 flex-wrap items-center gap-x-3 gap-y-1 text-xs">
        {speakers.map((speaker, voice) => (
          <span key={speaker} className={`flex items-center gap-1.5 font-medium ${textOf(voice)}`}>
            <span aria-hidden className="size-2 rounded-full bg-current" />
            {speaker}
          </span>
        ))}
        {!follows && <Button icon="next" onClick={() => setFollows(true)}>Follow</Button>}
      </span>
    }>
      {words.length === 0 && <p className="px-4 py-10 text-center text-sm text-quiet">Nothing was understood in this video.</p>}
      <div ref={list} role="group" aria-label="Words" className="relative max-h-[32rem] overflow-y-auto overscroll-contain py-2 max-lg:max-h-[55dvh]"
        onClick={click} onKeyDown={press} onMouseOver={name} onWheel={readElsewhere} onTouchMove={readElsewhere}>
        <Utterances transcript={transcript} onSeek={seek} />
      </div>
      {words.length > 0 && (
        <p className="flex flex-wrap gap-x-4 gap-y-1 border-t border-line px-4 py-2 text-xs text-quiet">
          <span><span className={UNSURE}>dotted</span>{`: less than ${UNSURE_BELOW * 100} % sure`}</span>
          <span className="max-sm:hidden pointer-coarse:hidden">A click on a word plays it; the arrow keys go from word to word, Enter plays.</span>
        </p>
      )}
    </Card>
  );
}

const UNSURE = "underline decoration-warn/80 decoration-dotted decoration-[1.5px] underline-offset-[3px]";

/** Marks the word of the moment without drawing the transcript anew. */
function useMarkedWord(list: RefObject<HTMLElement | null>, { inTime }: Transcript, clock: Clock, follows: boolean): void {
  useEffect(() => {
    const box = list.current;
    if (!box) return undefined;
    let marked: Element | null = null;
    let index = -1;
    const stop = clock.follow((second) => {
      const word = wordAt(inTime, second);
      if ((word?.index ?? -1) === index) return;
      index = word?.index ?? -1;
      marked?.removeAttribute("aria-current");
      marked = word && box.querySelector(`[data-word="${index}"]`);
      marked?.setAttribute("aria-current", "true");
      if (marked && follows) bringIntoSight(box, marked);
    });
    return () => {
      stop();
      marked?.removeAttribute("aria-current");
    };
  }, [list, inTime, clock, follows]);
}

/** Scroll the box alone, never the page, and only when the word is near its edges. */
function bringIntoSight(box: HTMLElement, word: Element): void {
  const outer = box.getBoundingClientRect();
  const inner = word.getBoundingClientRect();
  const margin = outer.height * 0.15;
  if (inner.top >= outer.top + margin && inner.bottom <= outer.bottom - margin) return;
  const by = inner.top - outer.top - outer.height * 0.3;
  const isCalm = window.matchMedia("(prefers-reduced-motion: reduce)").matches || Math.abs(by) > outer.height;
  box.scrollTo({ top: box.scrollTop + by, behavior: isCalm ? "auto" : "smooth" });
}

/** Drawn once: a long transcript has thousands of words. */
const Utterances = memo(function Utterances({ transcript, onSeek }: { transcript: Transcript; onSeek: (second: number) => void }) {
  return transcript.utterances.map((utterance) => <Said key={utterance.id} utterance={utterance} onSeek={onSeek} />);
}, (before, after) => before.transcript === after.transcript);

function Said({ utterance: { start, speaker, voice, words, emotion }, onSeek }: { utterance: Utterance; onSeek: (second: number) => void }) {
  return (
    <div className={`mx-4 my-3 border-l-[3px] pl-3 text-sm ${borderOf(voice)} ${markOf(voice)}`}>
      <p className="flex flex-wrap items-baseline gap-x-2.5 text-xs">
        <b className={`font-semibold ${textOf(voice)}`}>{speaker}</b>
        <button type="button" aria-label={`Play ${speaker} from ${position(start)}`} className="text-quiet hover:text-ink hover:underline" onClick={() => onSeek(start)}>{position(start)}</button>
        {emotion !== null && <span className="text-quiet">{emotion}</span>}
      </p>
      <p className="mt-0.5 leading-7 wrap-anywhere">
        {words.map((word, n) => <Spoken key={word.index} word={word} isFirst={n === 0} />)}
      </p>
    </div>
  );
}

/** Tab goes from utterance to utterance, the arrow keys from word to word. */
const Spoken = ({ word, isFirst }: { word: SpokenWord; isFirst: boolean }) => (
  <>
    <span role="button" tabIndex={isFirst ? 0 : -1} data-word={word.index}
      className={`rounded-sm px-0.5 hover:bg-raised aria-[current]:font-medium ${word.confidence < UNSURE_BELOW ? UNSURE : ""}`}>
      {word.word}
    </span>{" "}
  </>
);
