"""A media file from somebody else, opened so that it can only be itself.

No URL is followed, and no playlist or list of other files is opened, whatever the file says it is.
What the file claims about its own length is kept apart from what was found in it.
"""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.format import ContainerFormat
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from backend.analysis.protocol import AnalysisError

MAX_GAP_S = 600.0
"""A longer jump forward is the container's mistake, unless its length says otherwise."""
MAX_DISORDER_S = 1.0
"""Times that go back by less overlap; further is a clock that was set anew."""

MIN_EARLIER_S = 0.1
"""A picture that is earlier than the declared start by less is a matter of its order."""

_OPEN_OTHERS = {
    *("hls", "dash", "webm_dash_manifest", "concat", "concatf", "imf", "sdp", "rtp", "rtsp"),
    *("sap", "image2", "image2pipe", "vobsub", "avisynth", "vapoursynth", "lavfi", "sbg"),
    *("alsa", "oss", "pulse", "fbdev", "kmsgrab", "x11grab", "xcbgrab", "jack", "sndio"),
    *("video4linux2,v4l2", "libcdio", "dv1394", "iec61883", "openal", "decklink"),
    *("data", "tty", "ffmetadata", "tedcaptions"),
}
"""Formats that open other files, URLs or devices, or that make media out of any text."""
_ENCRYPTED_TAGS = {"enca", "drms"}
_LEAST_BITS_PER_S = 100
"""Less than any codec needs: a file so small for its length lies about its length."""


class SpeechError(AnalysisError):
    """A video cannot be listened to. Codes:

    no_audio        there is no sound in the file        encrypted      it is protected
    unreadable      empty, damaged beyond use, no media  too_long       longer than allowed
    disk_full       (later may work) no room             storage_failed (later may work)
    """


class Source:
    """An open file. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            SpeechError: `unreadable`.
        """
        options = {"protocol_whitelist": "file", "format_whitelist": _allowed_formats()}
        try:
            # "file:" keeps a name that starts with a dash or looks like a URL a name.
            container = av.open(f"file:{path}", "r", options=options, metadata_errors="ignore")
        except (FFmpegError, ValueError, OSError) as error:
            raise unreadable() from error
        self.container: InputContainer = container
        self.size_bytes = max(path.stat().st_size, 1)

    def __enter__(self) -> Source:
        """The file is open already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.container.close()

    @cached_property
    def audio(self) -> list[AudioStream]:
        """The audio streams, the default one first."""
        streams = list(self.container.streams.audio)
        return sorted(streams, key=lambda s: not s.disposition & Disposition.default)

    @cached_property
    def timed(self) -> list[AudioStream | VideoStream]:
        """What makes the video as long as it is: every sound, and every picture that moves."""
        still = Disposition.attached_pic
        moving = [one for one in self.container.streams.video if not one.disposition & still]
        return [*self.audio, *moving]

    @cached_property
    def origin_s(self) -> float:
        """When the video begins, by the times of its packets: what a player shows as 0."""
        starts = [
            float(stream.start_time * stream.time_base)
            for stream in self.timed
            if stream.start_time is not None and stream.time_base is not None
        ]
        return max(min(starts, default=0.0), 0.0)  # before 0 there is only a codec's run-up

    def begins_earlier(self, packet: Packet[VideoStream]) -> bool:
        """Take the time of the first packet where the file begins before it says (WMV)."""
        said = packet.pts if packet.pts is not None else packet.dts
        if said is None or packet.is_discard:
            return False
        first_s = max(float(said * packet.time_base), 0.0)
        if first_s > self.origin_s - MIN_EARLIER_S:
            return False
        self.origin_s = first_s
        return True

    def declared_end_s(self, stream: Stream) -> float | None:
        """When the stream ends, as the file says; may lie."""
        if stream.duration is not None and stream.time_base is not None:
            end = stream.duration
            kind = self.container.format.name
            # in these it is the end already, whatever the start
            if not (kind == "asf" or (kind == "ogg" and stream.name == "opus")):
                end += stream.start_time or 0
            return float(end * stream.time_base) - self.origin_s
        return _seconds(stream.metadata.get("DURATION", ""))

    def declared_s(self) -> float | None:
        """How long the video is, as the file says; None where it says nothing credible."""
        ends = [self.declared_end_s(stream) for stream in self.timed]
        known = [end for end in ends if end is not None]
        if not known and not self.container.streams.subtitles:
            duration = self.container.duration
            known = [duration / av.time_base] if duration is not None else []
        longest = max(known, default=0.0)
        if longest <= 0 or self.size_bytes * 8 / longest < _LEAST_BITS_PER_S:
            return None
        return longest


class Clock:
    """Turns the times of packets into seconds from the start that only go forwards."""

    def __init__(self, origin_s: float, *, credible_s: float) -> None:
        """Take the time of the start, and up to when a gap of any length is believed."""
        self.end_s = 0.0
        self._shift_s = -origin_s
        self._credible_s = credible_s

    def place(self, said_s: float | None, length_s: float) -> float:
        """When something of that length begins."""
        start = self.end_s if said_s is None else said_s + self._shift_s
        step = start - self.end_s
        if step < -MAX_DISORDER_S or (step > MAX_GAP_S and start > self._credible_s):
            self._shift_s -= step
            start = self.end_s
        self.end_s = max(self.end_s, start + length_s)
        return start

    def place_packet(self, packet: Packet[Any]) -> None:
        """Note a packet that is not decoded; they come in the order of decoding."""
        if packet.is_discard or packet.time_base is None:
            return
        shown, decoded = packet.pts, packet.dts
        said = decoded if decoded is not None else shown
        if said is None:
            return
        later = shown - said if shown is not None else 0
        length = (later + (packet.duration or 0)) * packet.time_base
        self.place(float(said * packet.time_base), float(length))


def is_encrypted(stream: AudioStream) -> bool:
    """Whether the file itself says that this stream is protected."""
    return can_be_decoded(stream) and stream.codec_context.codec_tag in _ENCRYPTED_TAGS


def can_be_decoded(stream: AudioStream) -> bool:
    """Whether there is a decoder for this stream (its type says that there always is)."""
    context: object = stream.codec_context
    return context is not None


def unreadable() -> SpeechError:
    """The error for a file that is no use."""
    return SpeechError("unreadable", "the video file cannot be read", permanent=True)


def _allowed_formats() -> str:
    names = (name for name in av.formats_available if name not in _OPEN_OTHERS)
    return ",".join(sorted(name for name in names if ContainerFormat(name).is_input))


def _seconds(clock: str) -> float | None:
    """Of `hh:mm:ss.fraction`."""
    try:
        hours, minutes, seconds = clock.strip().split(":")
        total = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except (ValueError, OverflowError):
        return None
    return total if math.isfinite(total) else None
