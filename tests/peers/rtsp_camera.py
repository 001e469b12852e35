"""The test camera itself: plays a file for ever, in real time, to all clients, and can misbehave.

RTP time is continuous from one round of the loop to the next. Clients see the same live picture and
begin at the next keyframe. Nothing is decoded: 64 cameras cost a small part of a core.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from enum import StrEnum
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from tests.peers.ports import held_port
from tests.peers.rtp import CLOCK_HZ, AccessUnit, Video, load_video
from tests.peers.rtsp_auth import AuthScheme, Gate
from tests.peers.rtsp_connection import RtspConnection

JUMP_TICKS = 3600 * CLOCK_HZ
JUMP_EVERY_S = 2


class Timestamps(StrEnum):
    """What the RTP timestamps are like."""

    GOOD = "good"
    ZERO = "zero"
    RANDOM = "random"
    JUMPING = "jumping"  # an hour ahead, two seconds later back again, and so on


class RtspCamera:
    """The camera. Use as an async context manager; everything runs on the loop that enters it.

    ``silent_audio`` announces a PCMU track that never sends. ``answer_delay_s`` holds back every
    answer, ``first_frame_delay_s`` the pictures after PLAY. ``first_rtp_time`` lets a test see the
    32-bit wrap. With an ``ssl_context`` the URL is rtsps.
    """

    def __init__(
        self,
        video: str | Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        path: str = "cam",
        user: str | None = None,
        password: str = "",
        auth: AuthScheme = "digest",
        silent_audio: bool = False,
        answer_delay_s: float = 0,
        first_frame_delay_s: float = 0,
        first_rtp_time: int = 0x1234_5678,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.host, self.port, self.path = host, port, path.strip("/")
        self.user, self.password = user, password
        self.gate = Gate(user, password, auth) if user is not None else None
        self.silent_audio = silent_audio
        self.answer_delay_s, self.first_frame_delay_s = answer_delay_s, first_frame_delay_s
        self.frames_sent_count = 0
        self.connections_count = 0
        self.not_hung = asyncio.Event()
        self.not_hung.set()
        self._file, self._first_rtp_time, self._ssl = Path(video), first_rtp_time, ssl_context
        self._timestamps, self._bad_since_s = Timestamps.GOOD, 0.0
        self._mutes_after_keyframe = False
        self._next_video: Video | None = None
        self._connections: dict[RtspConnection, asyncio.Task[Any]] = {}
        self._server: asyncio.Server | None = None
        self._is_away = True

    async def __aenter__(self) -> Self:
        self.video = await asyncio.to_thread(load_video, self._file)
        # Bound but never listening: the port stays ours, and refused, while the camera is away.
        self._port_holder = held_port(self.host, self.port)
        self.port = self._port_holder.getsockname()[1]
        await self.come_back()
        self._pump_task = asyncio.create_task(self._pump())
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._pump_task.cancel()
        await self.go_away()
        self._port_holder.close()
        try:
            await self._pump_task
        except asyncio.CancelledError:
            if not self._pump_task.cancelled():
                raise

    @property
    def url(self) -> str:
        """Where the camera is, with its own credentials if it asks for any."""
        return self.bare_url if self.user is None else self.url_as(self.user, self.password)

    @property
    def bare_url(self) -> str:
        """The URL without credentials."""
        return self.url_as()

    def url_as(
        self, user: str | None = None, password: str = "", *, path: str | None = None
    ) -> str:
        """The URL with other credentials, or to another path."""
        login = "" if user is None else f"{quote(user, safe='')}:{quote(password, safe='')}@"
        scheme = "rtsps" if self._ssl else "rtsp"
        return f"{scheme}://{login}{self.host}:{self.port}/{self.path if path is None else path}"

    @property
    def playing_count(self) -> int:
        """How many clients are being sent frames, or would be if no fault held them back."""
        return sum(connection.playing for connection in self._connections)

    async def drop(self) -> None:
        """Close every connection; new ones are welcome."""
        tasks = list(self._connections.values())
        for connection in list(self._connections):
            connection.drop()
        for task in tasks:
            task.cancel()  # one that is hung or slow would not notice
        await asyncio.gather(*tasks, return_exceptions=True)

    async def hang(self) -> None:
        """Freeze: connections stay open and new ones are taken, but nothing is sent any more."""
        self.not_hung.clear()

    async def mute_after_keyframe(self) -> None:
        """Send each client its next keyframe and then no picture; requests are still answered."""
        self._mutes_after_keyframe = True

    async def resume(self) -> None:
        """End `hang` and `mute_after_keyframe`; every client goes on at the next keyframe."""
        self._mutes_after_keyframe = False
        for connection in self._connections:
            connection.skip_to_keyframe()
        self.not_hung.set()

    async def set_timestamps(self, timestamps: Timestamps | str) -> None:
        """Send good or bad RTP timestamps from the next frame on."""
        self._timestamps, self._bad_since_s = (
            Timestamps(timestamps),
            asyncio.get_running_loop().time(),
        )

    async def set_delays(self, *, answer_s: float = 0, first_frame_s: float = 0) -> None:
        """Be slow to answer, or to send the first picture after PLAY."""
        self.answer_delay_s, self.first_frame_delay_s = answer_s, first_frame_s

    async def go_away(self) -> None:
        """Close every connection and refuse new ones; the port stays reserved."""
        self._is_away = True
        server, self._server = self._server, None
        if server:
            server.close()
        await self.drop()
        if server:
            await server.wait_closed()

    async def come_back(self) -> None:
        """Listen again on the same port after `go_away`."""
        if self._is_away:
            self._is_away = False
            listener = held_port(self.host, self.port)
            self._server = await asyncio.start_server(self._serve, sock=listener, ssl=self._ssl)

    async def switch_video(self, video: str | Path) -> None:
        """Go on with another file at the next frame; RTP time goes on.

        Of the same codec, unless the camera is away.
        """
        loaded = await asyncio.to_thread(load_video, video)
        if loaded.codec != self.video.codec and not self._is_away:
            raise ValueError(
                f"clients were promised {self.video.codec}, {loaded.path.name} is {loaded.codec}"
            )
        self._next_video = loaded
        while self._next_video is loaded:  # or one who asks at once is told of the old one
            await asyncio.sleep(0.01)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_away:  # accepted just before the listener closed
            writer.transport.abort()
            return
        connection = RtspConnection(self, reader, writer)
        task = asyncio.current_task()
        assert task is not None
        self._connections[connection] = task
        self.connections_count += 1
        try:
            await connection.serve()
        except asyncio.CancelledError:
            pass  # by `drop`; asyncio reports a cancelled handler as an error
        finally:
            del self._connections[connection]

    async def _pump(self) -> None:
        loop = asyncio.get_running_loop()
        started_s, round_ticks, ticks = loop.time(), 0, 0
        while True:
            for unit in self.video.units:
                ticks = round_ticks + unit.send_ticks
                await asyncio.sleep(started_s + ticks / CLOCK_HZ - loop.time())
                if self._next_video:
                    break
                self._send(unit, round_ticks + unit.show_ticks)
            round_ticks = ticks if self._next_video else round_ticks + self.video.length_ticks
            self.video, self._next_video = self._next_video or self.video, None

    def _send(self, unit: AccessUnit, ticks: int) -> None:
        if not self.not_hung.is_set():
            return
        stamp = self._stamp(ticks)
        for connection in list(self._connections):
            self.frames_sent_count += connection.send(
                unit, stamp, then_mute=self._mutes_after_keyframe
            )

    def _stamp(self, ticks: int) -> int:
        match self._timestamps:
            case Timestamps.ZERO:
                return 0
            case Timestamps.RANDOM:
                return random.getrandbits(32)
            case Timestamps.JUMPING:
                elapsed_s = asyncio.get_running_loop().time() - self._bad_since_s
                ticks += JUMP_TICKS if int(elapsed_s / JUMP_EVERY_S) % 2 == 0 else 0
            case Timestamps.GOOD:
                pass
        return (self._first_rtp_time + ticks) & 0xFFFF_FFFF
