import { expect, test } from "vitest";

import { type Facts, liveStatus, meansPlay } from "./live-status";

const PLAYING: Facts = { wanted: true, blocked: false, built: true, ready: true, paused: false, hasPlayed: true };

test("pictures that move are playing", () => {
  expect(liveStatus(PLAYING)).toBe("playing");
});

test("a player that is built anew waits, and its button means pause", () => {
  const status = liveStatus({ ...PLAYING, built: false, ready: false, paused: true });
  expect(status).toBe("waiting");
  expect(meansPlay(status)).toBe(false);
});

test("a player that a viewer paused stays paused while it is built anew", () => {
  const status = liveStatus({ ...PLAYING, wanted: false, built: false, ready: false, paused: true });
  expect(status).toBe("paused");
  expect(meansPlay(status)).toBe(true);
});

test("a browser that refuses to play asks for a click, and is not said to connect", () => {
  const status = liveStatus({ ...PLAYING, blocked: true, ready: false, paused: true, hasPlayed: false });
  expect(status).toBe("blocked");
  expect(meansPlay(status)).toBe(true);
});

test("before the first picture it connects", () => {
  expect(liveStatus({ ...PLAYING, ready: false, hasPlayed: false })).toBe("connecting");
});

test("a video that something else stopped can be played again", () => {
  expect(meansPlay(liveStatus({ ...PLAYING, paused: true }))).toBe(true);
});
