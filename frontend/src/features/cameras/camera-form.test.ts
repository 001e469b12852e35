import { expect, test } from "vitest";

import { CATEGORIES } from "../../api/incidents";
import { readForm, tryOf } from "./camera-form.model";

function filled(fields: Record<string, string>): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.set(name, value);
  return form;
}

test("fields left empty leave the choice to the server", () => {
  const read = readForm(filled({ name: " Gate ", source: "demo:", archive_seconds: "60", retention_days: "", retention_gb: "", substream: "" }));
  expect(read).toMatchObject({ name: "Gate", archive_seconds: 60, retention_days: null, retention_bytes: null, substream: null });
});

test("gigabytes are sent as bytes", () => {
  expect(readForm(filled({ retention_gb: "1.5", retention_days: "0.5" }))).toMatchObject({ retention_bytes: 1_500_000_000, retention_days: 0.5 });
});

test("no ticked category and no chosen analyser leave both to the server", () => {
  expect(readForm(filled({ scene_backend: "", house_rules: " No cars. ", daily_budget_usd: "" }))).toMatchObject({
    categories: null, scene_backend: null, house_rules: "No cars.", daily_budget_usd: null,
  });
});

test("what is ticked and chosen is sent, and a budget of nothing is one", () => {
  const form = filled({ scene_backend: "gemini", daily_budget_usd: "0" });
  for (const category of ["running", "fall"]) form.append("categories", category);
  expect(readForm(form)).toMatchObject({ categories: ["fall", "running"], scene_backend: "gemini", daily_budget_usd: 0 });
});

test("a try spells out what the form leaves to the server, as the camera may have it otherwise", () => {
  const form = readForm(filled({ description: "A yard", scene_backend: "" }));
  expect(tryOf(form, "gemini")).toEqual({ description: "A yard", house_rules: "", categories: CATEGORIES, backend: "gemini" });
  expect(tryOf({ ...form, scene_backend: "local", categories: ["fall"] }, "gemini")).toMatchObject({ backend: "local", categories: ["fall"] });
});
