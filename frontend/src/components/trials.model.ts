/** What tries of a backend and of a prompt leave as their job's result. Pure. */

export interface Usage {
  input_tokens: number;
  output_tokens: number;
  cost_usd: number;
  calls: number;
  latency_ms: number;
}

export interface TestAnswer {
  backend: string;
  model: string;
  model_version: string | null;
  summary: string;
  usage: Usage;
}

export interface TriedIncident {
  category: string;
  t_start: number;
  t_end: number;
  severity: number;
  confidence: number;
  /** A model's sentence, or what local analysis has seen. */
  evidence: string | { t: number; note: string }[];
}

export interface DryRunAnswer {
  backend: string;
  model?: string;
  prompt_version?: string;
  window?: { index: number; t_start: number; t_end: number };
  /** Null where nobody was asked. */
  request: {
    instructions: string;
    text: string;
    schema: unknown;
    clip: { seconds: number; fps: number; bytes: number } | null;
    pictures: { t: number; bytes: number }[];
  } | null;
  answer: {
    visibility?: string;
    observations?: { id: number; t: number; text: string }[];
    incidents?: TriedIncident[];
    summary?: string;
    safety_score?: number | null;
  } | null;
  error?: string | null;
  /** The answer as it came. */
  text?: string;
  usage?: Usage;
}

/** What was seen, in one line. */
export const seen = ({ evidence }: TriedIncident): string =>
  typeof evidence === "string" ? evidence : evidence.map((one) => one.note).join(" → ");

export const waited = (ms: number): string => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);
