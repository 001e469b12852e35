"""The sound of a video, on disk: mono, `SAMPLE_RATE`, 16 bit, and true to the video's clock.

A sample's place in the file is its time in the video: where the sound starts later than the
picture there is silence before it, gaps are silence too, and overlaps are cut. What can be read of
a damaged file is used, and said in remarks. Memory does not grow with the length.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream
from numpy.typing import NDArray

from backend.analysis.speech.protocol import SAMPLE_RATE, Check, Samples, Share
from backend.analysis.speech.source import (
    Clock,
    Source,
    SpeechError,
    can_be_decoded,
    is_encrypted,
    unreadable,
)

TOLERANCE_S = 0.05
"""Sound that is this far from where it should be is moved there; less is the clock's jitter."""
_SLACK_S = 1.0
"""A video may be longer than the longest by this much, and declared ends may be this wrong."""
_RATES_HZ = range(1_000, 1_000_001)
"""Of real sound; for another the resampler would want minutes and gigabytes."""
_DAMAGED_AT_FIRST = 500
"""So many unreadable packets before the first good one: the stream cannot be decoded."""
_BYTES = 2
_SILENCE = bytes(SAMPLE_RATE * _BYTES)
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True, slots=True)
class ExtractedAudio:
    """What was taken out of a video."""

    path: Path
    """Raw little-endian 16 bit samples."""
    seconds: float
    """Of sound on disk."""
    duration_s: float
    """Of the video: of its longest picture or sound."""
    remarks: tuple[str, ...]


def extract(
    video: Path, to: Path, *, longest_s: float, check: Check, progress: Share
) -> ExtractedAudio:
    """Write the sound of a video to `to`; of several streams, the default or first that decodes.

    Raises:
        SpeechError: see its codes; nothing is left at `to`.
    """
    try:
        return _first_that_decodes(video, to, longest_s=longest_s, check=check, progress=progress)
    except BaseException:
        to.unlink(missing_ok=True)
        raise


def _first_that_decodes(
    video: Path, to: Path, *, longest_s: float, check: Check, progress: Share
) -> ExtractedAudio:
    failures: list[str] = []
    number = 0
    while True:
        check()
        with Source(video) as source:
            if not source.container.streams:
                raise unreadable()
            if number == len(source.audio):
                raise _why_not(failures)
            _refuse_too_long(source.declared_s(), longest_s)
            with _writing(to) as pcm:
                listening = _Listening(source, source.audio[number], pcm, longest_s)
                listening.listen(check, progress)
            if listening.frames:
                return listening.extracted(to)
            failures.append(listening.failure())
            number += 1


@dataclass(slots=True)
class _Pcm:
    """The file on disk, written from front to back."""

    file: BinaryIO
    written: int = 0
    _dropping: int = 0

    def move_to(self, position: int, check: Check) -> None:
        """Let what comes next begin at this sample: fill with silence, or cut what overlaps."""
        self._dropping = max(self.written - position, 0)
        while self.written < position:
            check()
            count = min(position - self.written, SAMPLE_RATE)
            self.file.write(_SILENCE[: count * _BYTES])
            self.written += count

    def add(self, samples: NDArray[np.int16]) -> None:
        """Write samples."""
        dropped = min(self._dropping, len(samples))
        self._dropping -= dropped
        self.file.write(samples[dropped:].tobytes())
        self.written += len(samples) - dropped


@contextmanager
def _writing(to: Path) -> Iterator[_Pcm]:
    try:
        with to.open("wb", buffering=1 << 18) as file:
            yield _Pcm(file)
    except FFmpegError:
        raise
    except OSError as error:
        raise _storage_error(error) from error


@dataclass(slots=True)
class _Listening:
    """One pass over the file for one of its audio streams."""

    source: Source
    stream: AudioStream
    pcm: _Pcm
    longest_s: float
    frames: int = 0
    damaged: int = 0
    packets: int = 0
    encrypted: bool = False
    ended_early: bool = False
    _clocks: dict[int, Clock] = field(init=False)
    """By the index of a stream: of this one, and of the others, which are not decoded."""
    _resampler: AudioResampler | None = None
    _form: tuple[str, str, int] | None = None
    _due_s: float = 0.0
    """When the next frame begins if nothing is missing."""

    def __post_init__(self) -> None:
        if can_be_decoded(self.stream):
            self.stream.codec_context.thread_type = "NONE"
            self.stream.codec_context.thread_count = 1
        self._set_clocks()

    def _set_clocks(self) -> None:
        credible_s = min(self.source.declared_s() or 0.0, self.longest_s) + _SLACK_S
        self._clocks = {
            stream.index: Clock(self.source.origin_s, credible_s=credible_s)
            for stream in self.source.timed
        }

    @property
    def _clock(self) -> Clock:
        return self._clocks[self.stream.index]

    @property
    def _reached_s(self) -> float:
        return max(clock.end_s for clock in self._clocks.values())

    def listen(self, check: Check, progress: Share) -> None:
        """Decode to the end, or as far as it goes."""
        self.encrypted = is_encrypted(self.stream)
        if self.encrypted or not can_be_decoded(self.stream):
            return
        expected_s = self.source.declared_s()
        for packet in self._packets():
            check()
            if packet.stream.index != self.stream.index:
                is_picture = packet.stream.type == "video"
                if is_picture and not self.frames and self.source.begins_earlier(packet):
                    self._set_clocks()
                self._clocks[packet.stream.index].place_packet(packet)
            elif packet.has_sidedata("encryption_info"):
                self.encrypted = True
                return
            else:
                for frame in self._decoded(packet):
                    self._take(frame, check)
            reached_s = self._reached_s
            _refuse_too_long(reached_s, self.longest_s)
            if expected_s is not None:
                progress(min(reached_s / expected_s, 1.0))
            elif packet.pos is not None:
                progress(min(max(packet.pos, 0) / self.source.size_bytes, 1.0))
            if not self.frames and self.damaged >= _DAMAGED_AT_FIRST:
                return
        self._flush()

    def failure(self) -> str:
        """Code for why nothing was heard."""
        if self.encrypted:
            return "encrypted"
        declared_s = self.source.declared_end_s(self.stream)
        lost = self.packets or self.ended_early or (declared_s is not None and declared_s > 0)
        return "unreadable" if lost or not can_be_decoded(self.stream) else "no_audio"

    def extracted(self, to: Path) -> ExtractedAudio:
        """What came of it."""
        ends = [self._end_s(stream) for stream in self.source.timed]
        return ExtractedAudio(
            path=to,
            seconds=self.pcm.written / SAMPLE_RATE,
            duration_s=max(ends),
            remarks=tuple(self._remarks()),
        )

    def _packets(self) -> Iterator[Packet[Any]]:
        packets = self.source.container.demux(*self.source.timed)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (FFmpegError, OSError):
                self.ended_early = True
                return
            yield packet

    def _decoded(self, packet: Packet[AudioStream]) -> list[AudioFrame]:
        self.packets += packet.size > 0
        try:
            return packet.decode()
        except (FFmpegError, ValueError):
            self.damaged += 1
            return []

    def _take(self, frame: AudioFrame, check: Check) -> None:
        if not frame.samples:
            return
        if frame.sample_rate not in _RATES_HZ:
            self.damaged += 1
            return
        length_s = frame.samples / frame.sample_rate
        start_s = self._clock.place(frame.time, length_s)
        _refuse_too_long(start_s, self.longest_s)
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if form != self._form or abs(start_s - self._due_s) > TOLERANCE_S:
            self._flush()
            self._resampler = AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
            self._form = form
            self.pcm.move_to(round(start_s * SAMPLE_RATE), check)
            self._due_s = start_s
        self._due_s += length_s
        frame.pts = None  # places are ours; the resampler only sees samples that follow each other
        self._write(frame)

    def _flush(self) -> None:
        self._write(None)
        self._resampler = None

    def _write(self, frame: AudioFrame | None) -> None:
        if self._resampler is None:
            return
        try:
            made = self._resampler.resample(frame)
        except (FFmpegError, ValueError):  # a frame that says it is what it cannot be
            self.damaged += 1
            self._resampler = self._form = None
            return
        self.frames += frame is not None
        for one in made:
            self.pcm.add(one.to_ndarray().reshape(-1).astype("<i2", copy=False))

    def _end_s(self, stream: Stream) -> float:
        """As declared where that agrees with what was found: encoders pad their last packet."""
        declared_s, found_s = self.source.declared_end_s(stream), self._clocks[stream.index].end_s
        if declared_s is not None and abs(declared_s - found_s) < _SLACK_S / 2:
            return declared_s
        return found_s

    def _remarks(self) -> Iterator[str]:
        heard_s = self._clock.end_s
        declared_s = self.source.declared_end_s(self.stream)
        if declared_s is None:
            declared_s, heard_s = self.source.declared_s(), self._reached_s
        missing_s = (declared_s or 0.0) - heard_s
        if missing_s > _SLACK_S and (declared_s or 0.0) <= self.longest_s + _SLACK_S:
            yield f"the file ends early: {heard_s:.1f} s of {declared_s:.1f} s could be read"
        elif self.ended_early:
            yield f"the file could not be read beyond {heard_s:.1f} s"
        if self.damaged:
            yield f"{self.damaged} damaged parts of the sound were left out"


class AudioFile:
    """Extracted audio, read in pieces; from any thread. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        """Open the file."""
        self._file = os.open(path, os.O_RDONLY)
        self._samples = os.fstat(self._file).st_size // _BYTES

    def __enter__(self) -> AudioFile:
        """The file is open already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        os.close(self._file)

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self._samples / SAMPLE_RATE

    def read(self, start: float, end: float) -> Samples:
        """The samples of a stretch, cut at the ends of the audio."""
        first = min(max(round(start * SAMPLE_RATE), 0), self._samples)
        last = min(max(round(end * SAMPLE_RATE), first), self._samples)
        content = os.pread(self._file, (last - first) * _BYTES, first * _BYTES)
        return np.frombuffer(content, dtype="<i2").astype(np.float32) / np.float32(32768)


def _storage_error(error: OSError) -> SpeechError:
    """What it means that something could not be written."""
    if error.errno in _NO_ROOM:
        message = "there is not enough disk space for the sound"
        return SpeechError("disk_full", message, permanent=False)
    return SpeechError("storage_failed", "the sound could not be written", permanent=False)


def _refuse_too_long(seconds: float | None, longest_s: float) -> None:
    if seconds is not None and seconds > longest_s + _SLACK_S:
        raise SpeechError(
            "too_long",
            f"the video is longer than {longest_s / 60:g} minutes",
            permanent=True,
        )


def _why_not(failures: list[str]) -> SpeechError:
    if "encrypted" in failures:
        return SpeechError("encrypted", "the video is encrypted", permanent=True)
    if "unreadable" in failures:
        return unreadable()
    return SpeechError("no_audio", "the video has no sound", permanent=True)
