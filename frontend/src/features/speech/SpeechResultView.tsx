import { type ReactNode, useCallback, useMemo, useRef, useState } from "react";

import { type SpeechDetail, TRANSCRIPT_FORMATS, transcriptUrl, videoUrl } from "../../api/speech";
import { Card } from "../../components/Card";
import { type Fact, Facts } from "../../components/Facts";
import { Icon } from "../../components/ui/Icon";
import { thousands, title } from "../../lib/format";
import { position } from "../../lib/time";
import { makeClock } from "../../player/clock";
import { type PlayerHandle, SpokenPlayer } from "../../player/SpokenPlayer";
import { ProsodyPlot } from "./ProsodyPlot";
import { languageName, readTranscript, type SpeechResult, type Transcript } from "./transcript.model";
import { TranscriptView } from "./TranscriptView";

/** What was heard: the video beside its words, how they sound, and who did the work. */
export function SpeechResultView({ job, result, children }: { job: SpeechDetail; result: SpeechResult; children: ReactNode }) {
  const transcript = useMemo(() => readTranscript(result), [result]);
  const [clock] = useState(makeClock);
  const player = useRef<PlayerHandle>(null);
  const seek = useCallback((second: number) => {
    if (player.current) player.current.seek(second);
    else clock.tell(second); // without a video the words and the plot still go together
  }, [clock]);
  const heard = <Heard result={result} transcript={transcript} />;
  // two columns; on a phone one, in the order of use: video, words, plot
  return (
    <div className="space-y-4">
      <div className="grid items-start gap-4 lg:grid-cols-2 [&>*]:min-w-0">
        <div className="max-lg:contents lg:space-y-4 [&>*]:min-w-0">
          {job.has_video && (
            <SpokenPlayer src={videoUrl(job.job_id)} label={`The video ${job.filename}`} clock={clock} handle={player}
              failed={<p>This video cannot be played here, or is not there any more.</p>} />
          )}
          {transcript.words.length > 0 && <div className="max-lg:order-1"><ProsodyPlot transcript={transcript} clock={clock} onSeek={seek} /></div>}
          {!job.has_video && <div className="max-lg:order-2">{heard}</div>}
        </div>
        <div className="max-lg:contents lg:space-y-4 [&>*]:min-w-0">
          <TranscriptView transcript={transcript} clock={clock} onSeek={seek} />
          {job.has_video && <div className="max-lg:order-2">{heard}</div>}
        </div>
      </div>
      {children}
    </div>
  );
}

/** The transcript as files. */
export function Downloads({ jobId }: { jobId: string }) {
  return (
    <span role="group" aria-label="Download the transcript" className="flex flex-wrap gap-2">
      {TRANSCRIPT_FORMATS.map((form) => (
        <a key={form} href={transcriptUrl(jobId, form)} download aria-label={`Download as ${form.toUpperCase()}`}
          className="inline-flex min-h-8 items-center gap-1.5 rounded-md border border-line bg-surface px-3 text-sm font-medium transition-colors hover:bg-raised">
          <Icon name="save" />
          {form.toUpperCase()}
        </a>
      ))}
    </span>
  );
}

function Heard({ result: { metadata }, transcript }: { result: SpeechResult; transcript: Transcript }) {
  const rows: Fact[] = [
    ["Duration", position(metadata.duration)],
    ["Language", metadata.language === null ? "not told" : languageName(metadata.language)],
    ["Speakers", metadata.unique_speakers],
    ["Words", thousands(transcript.words.length)],
    ...Object.entries(metadata.backends).map(([stage, name]): Fact => [title(stage), name]),
  ];
  return (
    <Card title="What was heard, and by what">
      {metadata.remarks.length > 0 && (
        <ul aria-label="Remarks" className="mb-3 space-y-0.5 text-sm text-warn">{metadata.remarks.map((remark) => <li key={remark}>{remark}</li>)}</ul>
      )}
      <Facts rows={rows} />
    </Card>
  );
}
