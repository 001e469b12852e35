"""A real RTSP camera for tests, benchmarks and by hand, with faults switched while it runs.

RTSP 1.0 with RTP interleaved in TCP (UDP is refused with 461), H.264, H.265 or MPEG-4 part 2, RTCP
sender reports, Basic or Digest authentication, any number of clients. A query in the URL is
ignored, so that one server can be many cameras.

    async with RtspCamera("street.mp4") as camera: ...     in async tests
    with running_camera("street.mp4") as camera: ...       in plain ones, on a thread of its own
    python -m tests.peers.rtsp_server --video street.mp4   prints its URL; takes faults on stdin
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import av

from tests.peers.on_thread import on_thread
from tests.peers.rtsp_camera import RtspCamera, Timestamps

__all__ = ["RtspCamera", "RunningCamera", "Timestamps", "running_camera"]

T = TypeVar("T")

_CALL_TIMEOUT_S = 60
_COMMANDS = """Commands on stdin: drop, hang, resume, mute_after_keyframe, go_away, come_back,
status, timestamps good|zero|random|jumping, delays ANSWER_S FIRST_FRAME_S, switch_video FILE.
Each is answered with a line that begins with ok or error. The camera outlives the end of stdin."""


class RunningCamera:
    """An `RtspCamera` on another thread's loop: the same names, without await."""

    def __init__(self, camera: RtspCamera, loop: asyncio.AbstractEventLoop) -> None:
        self.camera, self._loop = camera, loop
        self.url, self.bare_url, self.url_as = camera.url, camera.bare_url, camera.url_as

    @property
    def playing_count(self) -> int:
        """See `RtspCamera.playing_count`."""
        return self._on_loop(lambda: self.camera.playing_count)

    @property
    def connections_count(self) -> int:
        """How many connections the camera has taken so far."""
        return self.camera.connections_count

    @property
    def frames_sent_count(self) -> int:
        """How many frames the camera has sent so far, to all clients together."""
        return self.camera.frames_sent_count

    def drop(self) -> None:
        """See `RtspCamera.drop`."""
        self._wait_for(self.camera.drop())

    def hang(self) -> None:
        """See `RtspCamera.hang`."""
        self._wait_for(self.camera.hang())

    def mute_after_keyframe(self) -> None:
        """See `RtspCamera.mute_after_keyframe`."""
        self._wait_for(self.camera.mute_after_keyframe())

    def resume(self) -> None:
        """See `RtspCamera.resume`."""
        self._wait_for(self.camera.resume())

    def set_timestamps(self, timestamps: Timestamps | str) -> None:
        """See `RtspCamera.set_timestamps`."""
        self._wait_for(self.camera.set_timestamps(timestamps))

    def set_delays(self, *, answer_s: float = 0, first_frame_s: float = 0) -> None:
        """See `RtspCamera.set_delays`."""
        self._wait_for(self.camera.set_delays(answer_s=answer_s, first_frame_s=first_frame_s))

    def go_away(self) -> None:
        """See `RtspCamera.go_away`."""
        self._wait_for(self.camera.go_away())

    def come_back(self) -> None:
        """See `RtspCamera.come_back`."""
        self._wait_for(self.camera.come_back())

    def switch_video(self, video: str | Path) -> None:
        """See `RtspCamera.switch_video`."""
        self._wait_for(self.camera.switch_video(video))

    def _wait_for(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_CALL_TIMEOUT_S)

    def _on_loop(self, read: Callable[[], T]) -> T:
        async def call() -> T:
            return read()

        return self._wait_for(call())


@contextmanager
def running_camera(video: str | Path, **options: Any) -> Iterator[RunningCamera]:
    """An `RtspCamera` with these options, on a thread of its own until the block ends."""
    with on_thread(lambda: RtspCamera(video, **options), "rtsp camera") as (peer, loop):
        yield RunningCamera(peer, loop)


def _obey(camera: RunningCamera, line: str) -> None:
    """Carry out a typed command, such as ``timestamps zero``."""
    name, *arguments = line.split()
    match name, arguments:
        case "drop" | "hang" | "resume" | "mute_after_keyframe" | "go_away" | "come_back", []:
            getattr(camera, name)()
        case "timestamps", [kind]:
            camera.set_timestamps(kind)
        case "delays", [answer_s, first_frame_s]:
            camera.set_delays(answer_s=float(answer_s), first_frame_s=float(first_frame_s))
        case "switch_video", [video]:
            camera.switch_video(video)
        case "status", []:
            connections = f"{camera.connections_count} connections so far"
            _say(f"{camera.playing_count} playing, {connections}")
        case _:
            raise ValueError(f"not a command: {line}")


def main() -> None:
    """Serve one file until interrupted, obeying faults typed on stdin."""
    parser = argparse.ArgumentParser(
        description="A test camera that speaks RTSP.", epilog=_COMMANDS
    )
    parser.add_argument("--video", required=True, type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--path", default="cam")
    parser.add_argument("--user")
    parser.add_argument("--password", default="")
    parser.add_argument("--auth", choices=["digest", "basic"], default="digest")
    parser.add_argument(
        "--silent-audio", action="store_true", help="announce an audio track that never sends"
    )
    options = vars(parser.parse_args())
    try:
        with running_camera(options.pop("video"), **options) as camera:
            _say(camera.url)
            for line in sys.stdin:
                if line.strip():
                    _answer(camera, line.strip())
            threading.Event().wait()
    except KeyboardInterrupt:
        pass


def _answer(camera: RunningCamera, line: str) -> None:
    try:
        _obey(camera, line)
        _say(f"ok {line}")
    except (ValueError, OSError, av.FFmpegError) as error:
        _say(f"error {error}")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201  what the command line answers


if __name__ == "__main__":
    main()
