"""A video file as sampled pictures, with times that can be trusted.

Every picture is decoded, since later ones are built on earlier ones, but only the sampled ones are
converted, and only to the size that is asked for. Times start at 0 with the first picture and never
go backwards, whatever the container says. What can be read is given: damage is counted and told in
`Reading`, and only a file without a single picture is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.error import FFmpegError, InvalidDataError
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from backend.analysis.protocol import AnalysisError

Gray = NDArray[np.uint8]
Picture = NDArray[np.uint8]

MAX_GAP_S = 600.0
"""A longer jump between two pictures is the container's mistake."""
MAX_DISORDER_S = 1.0
"""Times that go back by less are out of order; further is a clock that was set anew."""
DEFAULT_FPS = 25.0
_EPSILON_S = 1e-3
_DAMAGED_IN_A_ROW = 500
"""So many unreadable packets one after another are the end of what can be read."""


@dataclass(slots=True)
class Reading:
    """What was read so far; filled while the samples are taken."""

    duration_s: float = 0.0
    """Up to the end of the last picture."""
    frames_decoded: int = 0
    frames_sampled: int = 0
    damaged_packets: int = 0
    sizes: list[tuple[int, int]] = field(default_factory=list)
    container_s: float | None = None
    """What the container says its length is; may lie."""
    ended_early: bool = False
    """An error ended the reading, not the end of the file."""

    def remarks(self) -> list[str]:
        """What was unusual, one sentence each."""
        said = []
        if self.damaged_packets:
            said.append(f"{self.damaged_packets} damaged parts of the file were left out")
        if self.ended_early:
            said.append(f"the file could not be read beyond {self.duration_s:.1f} s")
        if len(self.sizes) > 1:
            sizes = ", ".join(f"{width}x{height}" for width, height in self.sizes)
            said.append(f"the picture changed its size ({sizes})")
        return said


class Sample:
    """One picture; converted when and as it is asked for. Sizes are those that a player shows."""

    def __init__(self, t: float, frame: VideoFrame) -> None:
        self.t = t
        self._frame = frame
        self._turns = round(getattr(frame, "rotation", 0) / 90) % 4
        width, height = frame.width, frame.height
        self.size = (height, width) if self._turns % 2 else (width, height)

    def gray(self, width: int, height: int) -> Gray:
        """Brightness at that size, height x width."""
        return self._converted("gray", width, height)

    def bgr(self, width: int, height: int) -> Picture:
        """Colours at that size, height x width x 3."""
        return self._converted("bgr24", width, height)

    def _converted(
        self, form: Literal["gray", "bgr24"], width: int, height: int
    ) -> NDArray[np.uint8]:
        if self._turns % 2:
            width, height = height, width
        frame = self._frame.reformat(width=width, height=height, format=form)
        array: NDArray[np.uint8] = frame.to_ndarray().astype(np.uint8, copy=False)
        return np.ascontiguousarray(np.rot90(array, self._turns)) if self._turns else array


class Video:
    """An open file. Use as a context manager."""

    def __init__(self, path: Path, *, check: Callable[[], None]) -> None:
        """Open the file.

        Args:
            check: called for every packet; raises when the answer is no longer wanted.

        Raises:
            AnalysisError: `video_missing`, `video_unreadable` or `video_without_pictures`.
        """
        self.reading = Reading()
        self._check = check
        try:
            # "file:" keeps a name that starts with a dash or looks like a URL a name.
            self._container = av.open(f"file:{path}", mode="r", metadata_errors="ignore")
        except FileNotFoundError as error:
            raise AnalysisError(
                "video_missing", "the video file is not there", permanent=True
            ) from error
        except (FFmpegError, ValueError) as error:
            raise _unreadable() from error
        streams = self._container.streams.video
        if not streams:
            self._container.close()
            raise AnalysisError("video_without_pictures", "the file holds no video", permanent=True)
        self._stream = streams[0]
        self._stream.thread_type = "NONE"
        self._stream.codec_context.thread_count = 1
        if self._container.duration is not None:
            self.reading.container_s = self._container.duration / av.time_base
        rate = self._stream.average_rate or self._stream.guessed_rate
        fps = float(rate) if rate else DEFAULT_FPS
        self._frame_s = 1 / fps if 1 <= fps <= 240 else 1 / DEFAULT_FPS
        """Length of a picture where the times do not tell."""

    def __enter__(self) -> Video:
        """The file is open already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._container.close()

    def samples(self, fps: float) -> Iterator[Sample]:
        """At most `fps` pictures of each second, evenly spaced; all of a slower video.

        Raises:
            AnalysisError: `video_unreadable`: not one picture could be read.
        """
        due, step = 0.0, 1 / fps
        for t, frame in self._timed():
            size = (frame.width, frame.height)
            if size not in self.reading.sizes:
                self.reading.sizes.append(size)
            if t + _EPSILON_S >= due:
                due = max(due + step, t - step / 2)
                self.reading.frames_sampled += 1
                yield Sample(t, frame)
        if not self.reading.frames_decoded:
            raise _unreadable()

    def _timed(self) -> Iterator[tuple[float, VideoFrame]]:
        """Each picture with its time in seconds, which only grows."""
        reading = self.reading
        start: float | None = None
        last = -self._frame_s
        for frame in self._frames():
            said = frame.time
            t = last + self._frame_s
            if said is not None:
                start = said - t if start is None else start
                step = said - start - last
                if 0 < step <= MAX_GAP_S:
                    t = said - start
                elif -MAX_DISORDER_S <= step <= 0:
                    t = last + _EPSILON_S  # the container mixed up neighbours (AVI with B-frames)
                else:
                    start = said - t  # the clock jumped: go on from here with its steps
            reading.frames_decoded += 1
            reading.duration_s = t + self._frame_s
            last = t
            yield t, frame

    def _frames(self) -> Iterator[VideoFrame]:
        damaged_in_a_row = 0
        packets = self._container.demux(self._stream)
        while damaged_in_a_row < _DAMAGED_IN_A_ROW:
            self._check()
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (FFmpegError, OSError):
                break
            try:
                frames = packet.decode()
            except InvalidDataError:
                damaged_in_a_row += 1
                self.reading.damaged_packets += 1
                continue
            except (FFmpegError, OSError):
                break
            damaged_in_a_row = 0
            for frame in frames:
                if isinstance(frame, VideoFrame):
                    yield frame
        self.reading.ended_early = True


def _unreadable() -> AnalysisError:
    return AnalysisError("video_unreadable", "the video file cannot be read", permanent=True)
