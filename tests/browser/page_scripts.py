"""Scripts of the browser tests: what a page shows, and what lets it be read at leisure."""

from __future__ import annotations

PLAYS_AT = """() => {
  const video = document.querySelector("video");
  return video && video.readyState >= 2 && !video.seeking && !video.paused && video.currentTime;
}"""
"""Where a video plays, once it does."""

SLOW_ARCHIVES = """(() => {
  const { play } = HTMLMediaElement.prototype;
  HTMLMediaElement.prototype.play = function () {
    if (this.src.includes("/archive/")) this.playbackRate = 1 / 16;
    return play.call(this);
  };
})()"""
"""For a new page: an archive stays near the second from which it plays until it is looked at."""

WITHOUT_POLLING = """(() => {
  const { setInterval } = window;
  const never = 2 ** 31 - 1;
  window.setInterval = (then, ms, ...more) => setInterval(then, ms < 5000 ? ms : never, ...more);
})()"""
"""For a new page: it asks for nothing again by itself, and its timeline stands still."""
