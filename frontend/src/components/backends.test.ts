import { expect, test } from "vitest";

import type { Backend } from "../api/scene";
import { awayAfter, backendName, backendOf, whereTo } from "./backends.model";

const backend = (name: Backend["name"], fields: Partial<Backend> = {}): Backend => ({
  name, configured: true, missing: null, model: null, endpoint: null, leaves_machine: false, is_default: false, fallback: [],
  input_usd_per_million: null, output_usd_per_million: null, cameras: [], breaker: null, ...fields,
});
const local = backend("local", { is_default: true });
const gemini = backend("gemini", { endpoint: "generativelanguage.googleapis.com", leaves_machine: true });
const openai = backend("openai", { endpoint: "127.0.0.1", fallback: ["gemini", "local"] });
const all = [local, gemini, openai];

test("a camera that chose nothing has the server's backend", () => {
  expect(backendOf({ scene_backend: null }, all)).toBe(local);
  expect(backendOf({ scene_backend: "gemini" }, all)).toBe(gemini);
  expect(backendOf({ scene_backend: null }, [gemini])).toBeUndefined();
});

test("a model on this machine sends nothing away", () => {
  expect([gemini, openai, local].map(whereTo)).toEqual([
    "footage goes to generativelanguage.googleapis.com", "footage stays on this machine", "footage stays on this machine",
  ]);
});

test("a backend that is not set up gets nothing, and may have nowhere to send it to", () => {
  expect([{ ...gemini, configured: false }, backend("openai", { configured: false })].map(whereTo)).toEqual([
    "footage will go to generativelanguage.googleapis.com", "footage goes nowhere yet",
  ]);
});

test("who takes over and sends footage away is named", () => {
  expect(awayAfter(openai, all)).toEqual([gemini]);
  expect(awayAfter(openai, [local, { ...gemini, configured: false }, openai])).toEqual([]);
  expect(awayAfter(gemini, all)).toEqual([]);
});

test("a backend that this page does not know keeps its name", () => {
  expect([backendName("openai"), backendName("later")]).toEqual(["OpenAI-compatible", "later"]);
});
