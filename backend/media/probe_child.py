"""The child process of `backend.media.probe`: the only part of this package that uses PyAV.

Reads one JSON request from stdin, `{"url", "is_live", "is_brief", "options", "deadline_s"}`, and
writes one JSON answer to stdout: `{"result": {...}}` or `{"fault", "error"}`. What ffmpeg's
libraries say goes to stderr, where the parent looks for the reason of errors that have no type.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final

import av
import av.error
import av.logging
from av.stream import Disposition

from backend.media.faults import StreamFault

LIVE_WATCH_S: Final = 5.0
FILE_LOOK_S: Final = 12.0
KEYFRAMES_ENOUGH: Final = 3
DECODE_TRIES: Final = 60
TEXT_FORMATS: Final = frozenset({"tty", "bin", "xbin", "adf", "idf"})  # any text becomes "video"
MAX_LIKELY_GAP_S: Final = 120.0

_FAULTS: Final[tuple[tuple[type[BaseException], StreamFault], ...]] = (
    (av.error.HTTPUnauthorizedError, StreamFault.AUTH),
    (av.error.HTTPForbiddenError, StreamFault.AUTH),
    (av.error.HTTPNotFoundError, StreamFault.NOT_FOUND),
    (av.error.HTTPServerError, StreamFault.UNREACHABLE),
    (av.error.ConnectionRefusedError, StreamFault.UNREACHABLE),
    (av.error.ConnectionResetError, StreamFault.UNREACHABLE),
    (av.error.BrokenPipeError, StreamFault.UNREACHABLE),
    (av.error.TimeoutError, StreamFault.TIMEOUT),
    (av.error.ExitError, StreamFault.TIMEOUT),  # the interrupt callback: its time was over
    (av.error.FileNotFoundError, StreamFault.NOT_FOUND),
    (av.error.IsADirectoryError, StreamFault.NOT_FOUND),
    (av.error.DecoderNotFoundError, StreamFault.UNSUPPORTED_CODEC),
    (av.error.InvalidDataError, StreamFault.NO_VIDEO),
    (av.error.EOFError, StreamFault.NO_VIDEO),
    (av.error.DemuxerNotFoundError, StreamFault.NO_VIDEO),
)


class _Refused(Exception):
    """The source was read, but is not what can be used."""

    def __init__(self, fault: StreamFault, why: str) -> None:
        super().__init__(why)
        self.fault = fault


@dataclass(slots=True)
class _Packets:
    """What the packets of the video tell."""

    time_base: Fraction
    count: int = 0
    first_s: float | None = None
    end_s: float = 0.0
    sent_s: float | None = None
    shown_s: list[float] = field(default_factory=list)
    keyframes_s: list[float] = field(default_factory=list)
    keyframes_seen_at: list[float] = field(default_factory=list)
    is_reordered: bool = False

    def add(self, packet: av.Packet[av.VideoStream], now: float) -> None:
        self.count += 1
        if packet.is_keyframe:
            self.keyframes_seen_at.append(now)
        if packet.pts is None:
            return
        shown_s = float(packet.pts * self.time_base)
        self.shown_s.append(shown_s)
        self.first_s = shown_s if self.first_s is None else min(self.first_s, shown_s)
        self.end_s = max(self.end_s, shown_s + float((packet.duration or 0) * self.time_base))
        if packet.is_keyframe:
            self.keyframes_s.append(shown_s)
        if packet.dts is not None:
            self.sent_s = float(packet.dts * self.time_base)
            self.is_reordered = self.is_reordered or _goes_back(self.shown_s)

    @property
    def span_s(self) -> float:
        return 0.0 if self.first_s is None else self.end_s - self.first_s

    def fps(self) -> float | None:
        """From the gaps between pictures; a few late or missing ones do not count.

        Pictures after the last decoding time are left out: between them, some are still to come.
        """
        last_s = self.end_s if self.sent_s is None else self.sent_s
        shown_s = sorted(moment for moment in self.shown_s if moment <= last_s)
        gaps_s = [b - a for a, b in pairwise(shown_s) if b > a]
        if len(gaps_s) < 2:
            return None
        spread_s = shown_s[-1] - shown_s[0]
        mean_s, middle_s = spread_s / len(gaps_s), statistics.median(gaps_s)
        gap_s = mean_s if 0.5 < mean_s / middle_s < 2 else middle_s
        return round(1 / gap_s, 3) if 0.001 < gap_s < MAX_LIKELY_GAP_S else None

    def keyframe_interval_s(self) -> float | None:
        """By their timestamps, where those are likely, else by their arrival."""
        for moments in (self.keyframes_s, self.keyframes_seen_at):
            gaps_s = [b - a for a, b in pairwise(moments)]
            if gaps_s and all(0.01 < gap_s < MAX_LIKELY_GAP_S for gap_s in gaps_s):
                return round(statistics.fmean(gaps_s), 3)
        return None


def main() -> None:
    """Answer one request."""
    request = json.load(sys.stdin)
    av.logging.set_level(av.logging.ERROR)
    av.logging.restore_default_callback()
    began_at = time.monotonic()
    answer: dict[str, Any]
    try:
        answer = {"result": _probe(**request)}
    except _Refused as error:
        answer = {"fault": error.fault, "error": str(error)}
    except (av.error.FFmpegError, OSError, ValueError) as error:
        fault = _fault_of(error)
        if time.monotonic() - began_at > request["deadline_s"] - 0.1:
            fault = StreamFault.TIMEOUT  # some protocols report the interruption as broken data
        answer = {"fault": fault, "error": type(error).__name__}
    json.dump(answer, sys.stdout)


def _fault_of(error: BaseException) -> StreamFault:
    for kind, fault in _FAULTS:
        if isinstance(error, kind):
            return fault
    return StreamFault.UNKNOWN


def _probe(
    *, url: str, is_live: bool, is_brief: bool, options: dict[str, str], deadline_s: float
) -> dict[str, Any]:
    ends_at = time.monotonic() + deadline_s
    with av.open(
        url,
        options=options,
        timeout=(deadline_s, deadline_s),
        metadata_errors="replace",
    ) as container:
        stream = _video(container)
        duration_s = _claimed_duration_s(container, stream)
        packets = _Packets(Fraction(stream.time_base or 1))
        frame = None
        demuxed = _demux(container, stream, packets, ends_at)
        started_at = time.monotonic()
        is_endless = is_live and duration_s is None
        keyframes = 1 if is_brief else KEYFRAMES_ENOUGH
        for tries, packet in enumerate(demuxed):
            if frame is None and tries < DECODE_TRIES:
                frame = _decoded(stream, packet)
            watched_s = time.monotonic() - started_at
            if _has_seen_enough(packets, watched_s, is_endless=is_endless, keyframes=keyframes):
                break
        if packets.count == 0:
            raise _Refused(StreamFault.NO_VIDEO, "no packet of video")
        if packets.count == 1 and container.format.name.endswith("_pipe"):
            raise _Refused(StreamFault.NO_VIDEO, "a still picture")
        fps = packets.fps()
        if not is_live and not _is_plausible(duration_s, stream, packets, fps):
            for _ in demuxed:
                pass
            duration_s = packets.span_s
        return _description(container, stream, packets, frame) | {
            "fps": fps or _rate(stream),
            "duration_s": None if duration_s is None else round(duration_s, 3),
        }


def _video(container: av.container.InputContainer) -> av.VideoStream:
    """The stream that the recorder takes too: the first video that is no attached picture."""
    if container.format.name in TEXT_FORMATS:
        raise _Refused(StreamFault.NO_VIDEO, "text")
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            if stream.codec_context is None:
                raise _Refused(StreamFault.UNSUPPORTED_CODEC, "no decoder")
            return stream
    raise _Refused(StreamFault.NO_VIDEO, "no video stream")


def _demux(
    container: av.container.InputContainer,
    stream: av.VideoStream,
    packets: _Packets,
    ends_at: float,
) -> Iterator[av.Packet[av.VideoStream]]:
    """The video's packets, counted; ends at the deadline, at the end, or where data is broken."""
    try:
        for packet in container.demux(stream):
            if packet.size == 0:  # the flush at the end
                return
            packets.add(packet, time.monotonic())
            yield packet
            if time.monotonic() > ends_at:
                return
    except av.error.FFmpegError:
        if packets.count == 0:
            raise


def _has_seen_enough(
    packets: _Packets, watched_s: float, *, is_endless: bool, keyframes: int
) -> bool:
    has_keyframes = len(packets.keyframes_seen_at) >= keyframes and packets.count >= 10
    if is_endless:
        return has_keyframes or watched_s > LIVE_WATCH_S
    return (has_keyframes and packets.count >= 50) or packets.span_s > FILE_LOOK_S


def _decoded(stream: av.VideoStream, packet: av.Packet[av.VideoStream]) -> av.VideoFrame | None:
    try:
        for frame in stream.codec_context.decode(packet):
            return frame
    except av.error.FFmpegError:
        return None  # a broken packet; the next ones may be whole
    return None


def _claimed_duration_s(
    container: av.container.InputContainer, stream: av.VideoStream
) -> float | None:
    if container.size <= 0 and not container.duration:
        return None
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if container.duration and container.duration > 0:
        return container.duration / av.time_base
    return None


def _is_plausible(
    duration_s: float | None, stream: av.VideoStream, packets: _Packets, fps: float | None
) -> bool:
    """Whether the claimed length fits the claimed number of pictures at the measured rate."""
    if duration_s is None or not stream.frames or not fps or stream.frames < packets.count:
        return False
    return abs(stream.frames / fps - duration_s) <= max(1.0, 0.1 * duration_s)


def _description(
    container: av.container.InputContainer,
    stream: av.VideoStream,
    packets: _Packets,
    frame: av.VideoFrame | None,
) -> dict[str, Any]:
    context = stream.codec_context
    width, height = context.width, context.height
    if frame is not None and not (width and height):
        width, height = frame.width, frame.height
    if not (width and height):
        raise _Refused(StreamFault.NO_VIDEO, "no picture could be decoded")
    audio = container.streams.audio
    return {
        "container": container.format.name,
        "codec": context.codec.canonical_name,
        "profile": context.profile,
        "pix_fmt": context.pix_fmt or (frame.format.name if frame is not None else None),
        "width": width,
        "height": height,
        "has_audio": bool(audio),
        "audio_codec": audio[0].codec_context.codec.canonical_name if audio else None,
        "has_b_frames": packets.is_reordered or bool(context.has_b_frames),
        "keyframe_interval_s": packets.keyframe_interval_s(),
        "rotation_deg": -frame.rotation % 360 if frame is not None else 0,
    }


def _rate(stream: av.VideoStream) -> float | None:
    rate = stream.average_rate
    return round(float(rate), 3) if rate and rate < 500 else None


def _goes_back(moments: list[float]) -> bool:
    return len(moments) >= 2 and moments[-1] < moments[-2]


if __name__ == "__main__":
    main()
