"""One client of a test camera: requests are answered, RTP goes out on the same TCP connection."""

from __future__ import annotations

import asyncio
import re
import secrets
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from tests.peers.rtp import AccessUnit, Video
from tests.peers.rtsp_auth import Gate

MAX_UNSENT_BYTES = (
    4 << 20
)  # a client that reads slower than this loses frames up to the next keyframe
SENDER_REPORT_EVERY_S = 5
AUDIO_TRACK = 1

_METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN"
_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    454: "Session Not Found",
    455: "Method Not Valid in This State",
    461: "Unsupported Transport",
    501: "Not Implemented",
}
_NTP_EPOCH_S = 2_208_988_800  # from 1900 to 1970
_PAYLOAD_TYPE = 96


class Camera(Protocol):
    """What a connection asks of its camera."""

    path: str
    gate: Gate | None
    silent_audio: bool
    video: Video
    answer_delay_s: float
    first_frame_delay_s: float
    not_hung: asyncio.Event


@dataclass(frozen=True)
class Request:
    """A parsed RTSP request; header names are in lower case."""

    method: str
    url: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """The status, headers and body of a response."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""


class RtspConnection:
    """Serves one TCP connection until the client tears down, goes away or is dropped."""

    def __init__(
        self, camera: Camera, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.playing = False
        self._camera, self._reader, self._writer = camera, reader, writer
        self._session_id = secrets.token_hex(8)
        self._channels: dict[int, int] = {}
        self._ssrc, self._sequence = secrets.randbits(32), secrets.randbits(15)
        self._packets = self._octets = 0
        self._plays_at = self._reports_at = 0.0
        self._wants_keyframe, self._is_muted = True, False

    async def serve(self) -> None:
        """Answer requests until the connection ends."""
        try:
            while request := await self._next_request():
                await self._camera.not_hung.wait()
                await asyncio.sleep(self._camera.answer_delay_s)
                answer = self._answer(request)
                self._reply(request, answer)
                if answer.status == 200 and request.method == "TEARDOWN":
                    break
                if answer.status == 200 and request.method == "PLAY":
                    self.playing = True  # only now: the answer goes out before the first frame
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the client left, or does not speak RTSP
        finally:
            self.playing = False
            self._writer.close()

    def drop(self) -> None:
        """Close the connection at once, whatever is still unsent."""
        self.playing = False
        self._writer.transport.abort()

    def skip_to_keyframe(self) -> None:
        """Send nothing before the next keyframe."""
        self._wants_keyframe, self._is_muted = True, False

    def send(self, unit: AccessUnit, stamp: int, *, then_mute: bool) -> bool:
        """Send a frame with the RTP time ``stamp``; False when this client gets none now.

        With ``then_mute`` a keyframe is the last frame that this client gets.
        """
        now = asyncio.get_running_loop().time()
        transport = self._writer.transport
        if transport.is_closing() or not self._is_due(unit, now):
            return False
        if transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self._wants_keyframe = True
            return False
        self._wants_keyframe = False
        packets = [
            self._packet(payload, stamp, payload is unit.payloads[-1]) for payload in unit.payloads
        ]
        if now >= self._reports_at:
            packets.insert(0, self._sender_report(stamp))
            self._reports_at = now + SENDER_REPORT_EVERY_S
        self._writer.write(b"".join(packets))
        self._is_muted = then_mute and unit.is_keyframe
        return True

    def _is_due(self, unit: AccessUnit, now: float) -> bool:
        if not self.playing or self._is_muted or now < self._plays_at:
            return False
        return unit.is_keyframe or not self._wants_keyframe

    def _packet(self, payload: bytes, stamp: int, is_last: bool) -> bytes:
        self._sequence = self._sequence + 1 & 0xFFFF
        self._packets += 1
        self._octets += len(payload)
        kind = is_last << 7 | _PAYLOAD_TYPE
        size, channel = 12 + len(payload), self._channels[0]
        return (
            struct.pack(
                ">cBHBBHII", b"$", channel, size, 0x80, kind, self._sequence, stamp, self._ssrc
            )
            + payload
        )

    def _sender_report(self, stamp: int) -> bytes:
        seconds, fraction = divmod(time.time() + _NTP_EPOCH_S, 1)
        counts = (self._packets & 0xFFFFFFFF, self._octets & 0xFFFFFFFF)
        report = struct.pack(
            ">BBHIIIIII",
            0x80,
            200,
            6,
            self._ssrc,
            int(seconds),
            int(fraction * 2**32),
            stamp,
            *counts,
        )
        report += struct.pack(
            ">BBHIBB6s4x", 0x81, 202, 4, self._ssrc, 1, 6, b"camera"
        )  # SDES with a CNAME
        return struct.pack(">cBH", b"$", self._channels[0] + 1, len(report)) + report

    async def _next_request(self) -> Request | None:
        while (first := await self._reader.read(1)) in (b"$", b"\r", b"\n"):
            if first == b"$":  # the client's receiver reports
                _channel, size_bytes = struct.unpack(">BH", await self._reader.readexactly(3))
                await self._reader.readexactly(size_bytes)
        if not first:
            return None
        head = (first + await self._reader.readuntil(b"\r\n\r\n")).decode(errors="replace")
        line, *rest = head.strip().split("\r\n")
        method, url, *_ = [*line.split(), "", ""]
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (row.partition(":") for row in rest)
        }
        body_bytes = headers.get("content-length", "0")
        await self._reader.readexactly(int(body_bytes) if body_bytes.isdecimal() else 0)
        return Request(method, url, headers)

    def _reply(self, request: Request, answer: Answer) -> None:
        headers = {"CSeq": request.headers.get("cseq", "0"), **answer.headers}
        if answer.body:
            headers["Content-Length"] = str(len(answer.body.encode()))
        lines = [f"RTSP/1.0 {answer.status} {_REASONS[answer.status]}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n" + answer.body).encode())

    def _answer(self, request: Request) -> Answer:
        if request.method == "OPTIONS":
            return Answer(200, {"Public": _METHODS})
        gate = self._camera.gate
        if gate and not gate.admits(request.headers.get("authorization"), request.method):
            return Answer(401, {"WWW-Authenticate": gate.challenge})
        path, _, track = urlsplit(request.url).path.strip("/").partition("/trackID=")
        if path != self._camera.path:
            return Answer(404)
        match request.method:
            case "DESCRIBE":
                return self._describe(request)
            case "SETUP":
                return self._setup(request, track)
            case "PLAY":
                return self._play(request)
            case "GET_PARAMETER" | "TEARDOWN":
                return self._in_session(request) or Answer(200, {"Session": self._session_id})
            case _:
                return Answer(501, {"Public": _METHODS})

    def _describe(self, request: Request) -> Answer:
        lines = [
            "v=0",
            "o=- 1 1 IN IP4 127.0.0.1",
            "s=Test camera",
            "c=IN IP4 0.0.0.0",
            "t=0 0",
            "a=control:*",
        ]
        lines += [*self._camera.video.sdp_lines, "a=control:trackID=0"]
        if self._camera.silent_audio:
            lines += [
                "m=audio 0 RTP/AVP 0",
                "a=rtpmap:0 PCMU/8000/1",
                f"a=control:trackID={AUDIO_TRACK}",
            ]
        base = urlsplit(request.url)
        headers = {
            "Content-Type": "application/sdp",
            "Content-Base": f"{base.scheme}://{base.netloc}/{self._camera.path}/",
        }
        return Answer(200, headers, "\r\n".join(lines) + "\r\n")

    def _setup(self, request: Request, track: str) -> Answer:
        tracks = {"", "0", str(AUDIO_TRACK)} if self._camera.silent_audio else {"", "0"}
        if track not in tracks:
            return Answer(404)
        offers = [
            offer
            for offer in request.headers.get("transport", "").split(",")
            if "RTP/AVP/TCP" in offer
        ]
        if not offers:
            return Answer(461)
        asked = re.search(r"interleaved=(\d+)", offers[0])
        channel = int(asked[1]) if asked else 2 * len(self._channels)
        if channel > 254:
            return Answer(400)
        self._channels[int(track or 0)] = channel
        transport = f"RTP/AVP/TCP;unicast;interleaved={channel}-{channel + 1};ssrc={self._ssrc:08X}"
        return Answer(200, {"Transport": transport, "Session": f"{self._session_id};timeout=60"})

    def _play(self, request: Request) -> Answer:
        if 0 not in self._channels:
            return Answer(455)
        if refused := self._in_session(request):
            return refused
        if not self.playing:
            self._plays_at = asyncio.get_running_loop().time() + self._camera.first_frame_delay_s
            self.skip_to_keyframe()
        base = urlsplit(request.url)
        track = f"url={base.scheme}://{base.netloc}/{self._camera.path}/trackID=0"
        info = f"{track};seq={self._sequence + 1 & 0xFFFF}"
        return Answer(200, {"Session": self._session_id, "Range": "npt=now-", "RTP-Info": info})

    def _in_session(self, request: Request) -> Answer | None:
        given = request.headers.get("session")
        if given is not None and given.partition(";")[0] != self._session_id:
            return Answer(454)
        return None
