"""Whether what a tab shows is the live edge, however slow the machine is.

The newest picture that could be had is read from the server's playlist before a player is opened
or told to go on; all that it shows from then on is held against that one. So a delay, wherever it
is, cannot make a player look late; one that goes on in the past shows the past, picture by picture.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.browser.numbered_pictures import last_number, seconds_from
from tests.system.programs import Main
from tests.waiting import eventually

AT_MOST_BEHIND_S = 6.0
"""Older pictures are the past. (A player is meant to be 3 s behind; a playlist holds 10 s.)"""
MOST_OF_THE_PAST = 10
"""So many of them, a second's, may be seen before a player is where it belongs."""
PLAYLIST_HOLDS = 100
"""As many pictures as a playlist has, which a restarted server begins with the old ones."""
ENOUGH = 5
"""So many different ones are a picture that moves."""


@dataclass(frozen=True)
class Edge:
    """The live edge at a moment: the newest picture, and how many the tab had shown by then."""

    newest: int
    shown_count: int

    def is_reached(self, shown: list[int], *, most_of_the_past: int = MOST_OF_THE_PAST) -> bool:
        """Whether the tab has come there and its picture moves; fails where it shows the past."""
        behind_s = [seconds_from(number, self.newest) for number in shown[self.shown_count :]]
        past = [each for each in behind_s if each > AT_MOST_BEHIND_S]
        assert len(past) <= most_of_the_past, f"it showed what was so many s old then: {past}"
        return len(set(behind_s) - set(past)) >= ENOUGH


def newest_number(main: Main) -> int:
    """The number of the newest picture in the playlist of the camera "yard"."""
    return last_number(eventually(lambda: _newest_segment(main), what="the newest segment"))


def _newest_segment(main: Main) -> bytes | None:
    playlist = main.api.get("/live/yard/index.m3u8")
    names = [line for line in playlist.text.split() if not line.startswith("#")]
    if not playlist.is_success or not names:
        return None
    segment = main.api.get(f"/live/yard/{names[-1]}")
    return segment.content if segment.is_success else None
