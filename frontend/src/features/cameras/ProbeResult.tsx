import type { ProbeAnswer } from "../../api/cameras";
import { words } from "../../lib/format";

const HINTS: Record<string, string> = {
  unreachable: "Is the camera switched on, and are address and port right?",
  auth: "Check the user name and password in the address.",
  not_found: "The path is wrong: the camera's manual names it, often /stream1 or /h264.",
  tls: "The camera's secure connection failed; try rtsp instead of rtsps.",
  timeout: "The camera answers too slowly, or a firewall swallows the connection.",
  unsupported_codec: "Set the camera to H.264.",
  no_video: "The address answers, but sends no video.",
};

/** What the source is, or why it cannot be read, in plain words. */
export function ProbeResult({ answer }: { answer: ProbeAnswer }) {
  const probe = answer.probe;
  if (!answer.ok || !probe) {
    const reason = answer.reason ?? "unknown";
    return (
      <div role="status" className="rounded-md border border-line bg-raised p-3 text-sm">
        <p className="font-medium text-bad">{`Cannot be read: ${words(reason)}`}</p>
        <p>{answer.message}</p>
        <p className="text-quiet">{HINTS[reason]}</p>
      </div>
    );
  }
  const facts: [string, string][] = [
    ["Video", `${probe.codec}${probe.profile ? ` (${probe.profile})` : ""}`],
    ["Size", `${probe.width} × ${probe.height}`],
    ["Pictures a second", probe.fps ? probe.fps.toFixed(1) : "unknown"],
    ["Keyframe every", probe.keyframe_interval_s ? `${probe.keyframe_interval_s.toFixed(1)} s` : "unknown"],
    ["Audio", probe.has_audio ? `${probe.audio_codec ?? "yes"}, not recorded` : "none"],
  ];
  return (
    <div role="status" className="rounded-md border border-line bg-raised p-3 text-sm">
      <p className="font-medium text-good">The source can be read</p>
      <dl className="mt-1 grid grid-cols-[auto_1fr] gap-x-4">
        {facts.map(([name, value]) => (
          <div key={name} className="contents">
            <dt className="text-quiet">{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {probe.transcoded && (
        <p className="mt-1 text-warn">
          Browsers cannot play this codec: live and archive will be transcoded to H.264, which costs CPU all the time.
        </p>
      )}
    </div>
  );
}
