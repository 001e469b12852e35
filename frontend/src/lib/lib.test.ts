import { expect, test } from "vitest";

import { bytes, count, scoreTone, sentence, severityTone, thousands, title, usd, words } from "./format";
import { leadOf } from "./lead";
import { asNumber, asOneOf, asText } from "./search";
import { ago, duration, position, timeOfDay, timeOrDay } from "./time";
import { addDays, asDay, dayIn, daysBetween, midnight, timeIn } from "./zone";

test("sizes are short and readable", () => {
  expect(bytes(0)).toBe("0 B");
  expect(bytes(1234)).toBe("1.2 kB");
  expect(bytes(78_830_000)).toBe("79 MB");
});

test("durations grow coarser with their length", () => {
  expect([5, 99, 300, 7200, 200_000].map(duration)).toEqual(["5 s", "99 s", "5 min", "2 h", "2 d"]);
  expect(ago("2026-01-01T00:00:00Z", Date.parse("2026-01-01T00:05:00Z"))).toBe("5 min");
});

test("a time in the future is not ago", () => {
  expect(ago("2026-01-01T00:00:10Z", Date.parse("2026-01-01T00:00:00Z"))).toBe("0 s");
});

test("positions have two digits of seconds", () => {
  expect(position(75.9)).toBe("1:15");
  expect(position(5)).toBe("0:05");
});

test("scores and severities have tones", () => {
  expect([100, 85, 84, 60, 59, null].map(scoreTone)).toEqual(["good", "good", "warn", "warn", "bad", "quiet"]);
  expect([0, 1, 2, 3, 4].map(severityTone)).toEqual(["info", "info", "warn", "bad", "bad"]);
  expect(words("near_miss")).toBe("near miss");
});

test("a reason is shown as a sentence, without the code that programs read", () => {
  expect(sentence("unreachable: The source cannot be reached.")).toBe("The source cannot be reached.");
  expect(sentence("the password is wrong")).toBe("The password is wrong");
  expect(sentence("Error: kept")).toBe("Error: kept");
});

test("one is not many", () => {
  expect([count(1, "incident"), count(0, "incident")]).toEqual(["1 incident", "0 incidents"]);
  expect(title("near_miss")).toBe("Near miss");
});

test("a time of another day says which", () => {
  const moment = "2026-01-02T12:00:00Z";
  expect(timeOrDay(moment, Date.parse(moment))).toBe(timeOfDay(moment));
  expect(timeOrDay(moment, Date.parse("2026-01-05T12:00:00Z"))).toMatch(/\S+, \d\d:/);
});

test("money is shown however little it is", () => {
  expect([0, 0.000_08, 0.0123, 1.2, 1234.5].map(usd)).toEqual(["$0", "$0.00008", "$0.01", "$1.20", "$1,234.50"]);
  expect(thousands(1_234_567)).toBe("1\u202f234\u202f567");
});

test("a day is the site's, not the reader's", () => {
  const evening = Date.parse("2026-01-01T23:30:00Z");
  expect(["Europe/Berlin", "America/New_York", "Asia/Kolkata"].map((zone) => dayIn(zone, evening))).toEqual(["2026-01-02", "2026-01-01", "2026-01-02"]);
  expect(timeIn("Asia/Kolkata", "2026-01-01T23:30:05Z")).toBe("05:00:05");
});

test("a day begins at the site's midnight, also when clocks change", () => {
  expect(midnight("Europe/Berlin", "2026-03-29")).toBe("2026-03-28T23:00:00.000Z");
  expect(midnight("Europe/Berlin", "2026-03-30")).toBe("2026-03-29T22:00:00.000Z");
  expect(midnight("America/New_York", "2026-01-01")).toBe("2026-01-01T05:00:00.000Z");
  expect(midnight("Pacific/Auckland", "2026-01-01")).toBe("2025-12-31T11:00:00.000Z");
});

test("a day whose midnight is skipped begins with the clock's next second", () => {
  expect(midnight("America/Santiago", "2026-09-06")).toBe("2026-09-06T04:00:00.000Z");
  expect(midnight("America/Havana", "2026-03-08")).toBe("2026-03-08T05:00:00.000Z");
  expect(midnight("Asia/Beirut", "2026-03-29")).toBe("2026-03-28T22:00:00.000Z");
});

test("a day whose midnight comes twice begins with the first", () => {
  expect(midnight("America/Havana", "2026-11-01")).toBe("2026-11-01T04:00:00.000Z");
});

test("days are counted as a calendar counts them", () => {
  expect(addDays("2026-03-01", -1)).toBe("2026-02-28");
  expect(daysBetween("2026-03-28", "2026-03-30")).toBe(2);
});

test("what a URL says is taken only where it means something", () => {
  expect([asDay("2026-01-31"), asDay("2026-13-31"), asDay("yesterday"), asDay(20260131)]).toEqual(["2026-01-31", undefined, undefined, undefined]);
  expect([asText("a"), asText(123), asText(""), asText({})]).toEqual(["a", "123", undefined, undefined]);
  expect([asNumber(3), asNumber("3"), asNumber(""), asNumber(-1), asNumber("x")]).toEqual([3, 3, undefined, undefined, undefined]);
  expect([asOneOf(["hour", "day"], "day"), asOneOf(["hour", "day"], "year")]).toEqual(["day", undefined]);
});

test("a clip begins a little before its incident", () => {
  expect([leadOf({ t_start: 1.5 }), leadOf({ t_start: 12 })]).toEqual([0, 10]);
});
