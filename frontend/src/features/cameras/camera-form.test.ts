import { expect, test } from "vitest";

import { readForm } from "./camera-form.model";

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
