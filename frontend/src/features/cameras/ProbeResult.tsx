import type { ProbeAnswer } from "../../api/cameras";
import { Facts } from "../../components/Facts";
import { Notice } from "../../components/Notice";

/** What to try, by the reason that the server names. The server's own sentence says what is wrong. */
const HINTS: Record<string, string> = {
  unreachable: "Is the camera switched on, and are address and port right?",
  auth: "Check the user name and the password in the address.",
  not_found: "The path is wrong. The camera's manual names it; often it is /stream1 or /h264.",
  tls: "Try rtsp:// instead of rtsps://, or give the camera a certificate that this server trusts.",
  timeout: "The camera answers too slowly, or a firewall swallows the connection.",
  unsupported_codec: "Set the camera to H.264.",
  no_video: "The address answers but sends no video: perhaps it is the audio stream or a web page.",
  stalled: "The camera connects but sends nothing: restarting it often helps.",
  ended: "The stream ended at once. Does another program hold the camera's only connection?",
};

interface Props {
  answer: ProbeAnswer;
  /** Said before the reason where the source cannot be read. */
  lead?: string;
}

/** What the source is, or why it cannot be read, in plain words. */
export function ProbeResult({ answer, lead = "The source cannot be read." }: Props) {
  const { probe } = answer;
  if (!answer.ok || !probe) {
    const hint = HINTS[answer.reason ?? ""];
    return (
      <Notice tone="bad" role="status">
        <p className="font-medium text-bad">{lead}</p>
        {answer.message && <p>{answer.message}</p>}
        {hint && <p className="text-quiet">{hint}</p>}
      </Notice>
    );
  }
  return (
    <div role="status" className="space-y-2 rounded-md border border-good/25 bg-good/10 p-3 text-sm">
      <p className="font-medium text-good">The source can be read.</p>
      <Facts
        rows={[
          ["Video", `${probe.codec.toUpperCase()}${probe.profile ? ` (${probe.profile})` : ""}, ${probe.width} × ${probe.height}`],
          ["Pictures", probe.fps ? `${probe.fps.toFixed(1)} a second` : "rate unknown"],
          ["Keyframe", probe.keyframe_interval_s ? `every ${probe.keyframe_interval_s.toFixed(1)} s` : "interval unknown"],
          ["Audio", probe.has_audio ? (probe.audio_codec ?? "yes") : "none"],
        ]}
      />
      {probe.transcoded && (
        <p className="text-warn">
          Browsers cannot play this codec: live and archive will be transcoded to H.264, which costs CPU as long as the camera runs.
        </p>
      )}
    </div>
  );
}
