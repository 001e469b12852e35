import { Link } from "@tanstack/react-router";
import { useState } from "react";

import type { Camera } from "../../api/cameras";
import type { Day, DayEntry } from "../../api/scene";
import { backendName } from "../../components/backends.model";
import { Score } from "../../components/Score";
import { MARK } from "../../components/tones";
import { Button } from "../../components/ui/Button";
import { count, scoreTone } from "../../lib/format";
import { utc } from "../../lib/time";
import { timeIn } from "../../lib/zone";
import { ArchivePlayer } from "../../player/ArchivePlayer";

const FROM_THE_START = { second: 0 };

/** What happened, archive by archive in order of time; one of them plays in its place. */
export function DayList({ day, cameras }: { day: Day; cameras: Camera[] }) {
  const [playing, setPlaying] = useState<number | null>(null);
  return (
    <>
      <ol aria-label="What happened" className="relative rounded-xl border border-line bg-surface py-2">
        {day.entries.map((entry) => (
          <Entry key={entry.job_id} entry={entry} zone={day.timezone} isPlaying={playing === entry.job_id}
            camera={cameras.find((camera) => camera.id === entry.camera_id)?.name ?? entry.camera_id}
            onPlay={() => setPlaying(playing === entry.job_id ? null : entry.job_id)} />
        ))}
      </ol>
      {day.truncated && <p className="mt-3 text-sm text-warn">There was more on this day than is listed. Choose a camera or look for a text.</p>}
    </>
  );
}

interface Props {
  entry: DayEntry;
  zone: string;
  camera: string;
  isPlaying: boolean;
  onPlay: () => void;
}

function Entry({ entry, zone, camera, isPlaying, onPlay }: Props) {
  const time = timeIn(zone, entry.at);
  return (
    <li className="group grid grid-cols-[4.5rem_1rem_minmax(0,1fr)] gap-x-2 px-4 max-sm:grid-cols-[3.6rem_0.75rem_minmax(0,1fr)] max-sm:px-3">
      <time dateTime={entry.at} title={utc(entry.at)} className="py-3 text-right text-sm font-medium max-sm:text-xs max-sm:leading-5">{time}</time>
      <span aria-hidden className="relative flex justify-center">
        <span className="absolute inset-y-0 w-px bg-line group-first:top-5 group-last:bottom-[calc(100%-1.25rem)]" />
        <span className={`relative mt-[1.1rem] size-2 rounded-full ring-4 ring-surface ${MARK[scoreTone(entry.safety_score)]}`} />
      </span>
      <div className="min-w-0 py-3 text-sm">
        <div className="flex items-start gap-3">
          <div className="min-w-0 flex-1">
            <p className="flex flex-wrap items-baseline gap-x-2.5 gap-y-0.5">
              <Link to="/cameras/$id" params={{ id: entry.camera_id }} className="font-semibold wrap-anywhere hover:underline">{camera}</Link>
              <span className="text-xs text-quiet">score <Score value={entry.safety_score} /></span>
              <span className={`text-xs ${entry.incident_count > 0 ? "font-medium text-warn" : "text-quiet"}`}>{count(entry.incident_count, "incident")}</span>
            </p>
            <p className={`mt-0.5 wrap-anywhere ${entry.summary ? "" : "text-quiet"}`}>{entry.summary || "No summary: only motion and objects were looked at."}</p>
            <p className="mt-1 flex flex-wrap gap-x-2.5 gap-y-0.5 text-xs text-quiet">
              <span>{backendName(entry.backend)}</span>
              {entry.fallback_from !== null && <span className="text-warn">{`instead of ${backendName(entry.fallback_from)}`}</span>}
              <span>{`until ${timeIn(zone, entry.until)}`}</span>
              <Link to="/jobs/$id" params={{ id: String(entry.job_id) }} className="text-accent hover:underline">{`#${entry.job_id}`}</Link>
            </p>
          </div>
          {entry.video_url === null ? (
            <span className="text-xs text-quiet">archive deleted</span>
          ) : (
            <Button look="quiet" icon={isPlaying ? "close" : "play"} aria-expanded={isPlaying} onClick={onPlay}
              aria-label={isPlaying ? `Close the archive of ${time}` : `Play the archive of ${time}`} />
          )}
        </div>
        {isPlaying && entry.video_url !== null && (
          <div className="mt-3 aspect-video max-w-2xl overflow-hidden rounded-lg bg-black">
            <ArchivePlayer src={entry.video_url} seek={FROM_THE_START} label={`${camera}, archive of ${time}`}
              failed={<p>This archive cannot be played. Perhaps it was deleted meanwhile.</p>} />
          </div>
        )}
      </div>
    </li>
  );
}
