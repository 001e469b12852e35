import { thousands, usd } from "../lib/format";
import { Facts } from "./Facts";
import { waited, type TestAnswer, type Usage } from "./trials.model";

/** What a call took, in one line. */
export const usageLine = ({ cost_usd, input_tokens, output_tokens, latency_ms, calls }: Usage): string =>
  `${usd(cost_usd)}, ${thousands(input_tokens)} tokens in, ${thousands(output_tokens)} out, ${calls === 1 ? "" : `${calls} calls, `}${waited(latency_ms)}`;

/** What a model said to the demo scene, and what it took. */
export function TestResult({ answer }: { answer: TestAnswer }) {
  return (
    <div role="status" className="space-y-2 rounded-md border border-good/25 bg-good/10 p-3 text-sm">
      <p className="font-medium text-good">It answers.</p>
      <Facts
        rows={[
          ["Model", answer.model_version ?? answer.model],
          ["It saw", answer.summary],
          ["Took", usageLine(answer.usage)],
        ]}
      />
      <p className="text-xs text-quiet">It was shown four seconds of the demo scene, no camera's footage.</p>
    </div>
  );
}
