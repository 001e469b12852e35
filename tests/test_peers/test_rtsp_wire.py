"""What the camera puts on the wire, read byte by byte: requests out of order, RTP, RTCP."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.peers.rtp import MAX_PAYLOAD_BYTES, load_video
from tests.peers.rtsp_server import RtspCamera
from tests.peers.videos import make_video

TCP = "RTP/AVP/TCP;unicast;interleaved=4-5"
SETUP = ("SETUP", "/trackID=0", {"Transport": TCP})


class Client:
    """The least of an RTSP client."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, url: str
    ) -> None:
        self._reader, self._writer, self._url, self._number = reader, writer, url, 0

    async def ask(self, method: str, path: str = "", headers: dict[str, str] | None = None) -> str:
        """Send a request; the head of the answer."""
        self._number += 1
        lines = [f"{method} {self._url}{path} RTSP/1.0", f"CSeq: {self._number}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        assert f"CSeq: {self._number}\r\n" in head
        return head

    async def packet(self) -> tuple[int, bytes]:
        """The next interleaved packet and its channel."""
        async with asyncio.timeout(60):
            mark, channel, size = struct.unpack(">cBH", await self._reader.readexactly(4))
            assert mark == b"$"
            return channel, await self._reader.readexactly(size)

    def send(self, data: bytes) -> None:
        """Send bytes that are no request."""
        self._writer.write(data)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    video = make_video(tmp_path / "video.mp4", gop_seconds=0.4)
    async with RtspCamera(video) as camera:
        reader, writer = await asyncio.open_connection("127.0.0.1", camera.port)
        yield Client(reader, writer, camera.url)
        writer.close()


async def test_rtp_is_numbered_without_a_gap_and_each_frame_ends_with_a_marker(
    client: Client,
) -> None:
    await client.ask(*SETUP)
    first = int((await client.ask("PLAY")).partition("seq=")[2].split()[0])
    packets = [await client.packet() for _ in range(400)]
    rtp = [struct.unpack(">BBHI", data[:8]) for channel, data in packets if channel == 4]
    assert [number for _, _, number, _ in rtp] == [(first + i) & 0xFFFF for i in range(len(rtp))]
    ends = [bool(kind >> 7) for _, kind, _, _ in rtp]
    stamps = [stamp for *_, stamp in rtp]
    changes = [before != after for before, after in pairwise(stamps)]
    assert ends[:-1] == changes
    assert max(len(data) for _, data in packets) == 12 + MAX_PAYLOAD_BYTES


async def test_a_sender_report_comes_first_and_ties_rtp_time_to_the_time_of_day(
    client: Client,
) -> None:
    await client.ask(*SETUP)
    await client.ask("PLAY")
    (report_channel, report), (channel, data) = await client.packet(), await client.packet()
    assert (report_channel, channel) == (5, 4)
    kind, ssrc, seconds, stamp = struct.unpack(">xBxxIIxxxxI", report[:20])
    assert kind == 200
    assert abs(seconds - 2_208_988_800 - time.time()) < 60
    assert struct.unpack(">II", data[4:12]) == (stamp, ssrc)
    assert report[28:] == struct.pack(">BBHIBB", 0x81, 202, 4, ssrc, 1, 6) + b"camera" + bytes(4)


async def test_requests_in_the_wrong_state_are_refused_with_their_status(client: Client) -> None:
    assert "455 " in await client.ask("PLAY")
    assert "461 " in await client.ask(
        "SETUP", "/trackID=0", {"Transport": "RTP/AVP;unicast;client_port=6-7"}
    )
    assert "404 " in await client.ask("SETUP", "/trackID=1", {"Transport": TCP})
    assert "501 " in await client.ask("RECORD")
    assert "200 " in await client.ask(*SETUP)
    assert "454 " in await client.ask("PLAY", "", {"Session": "other"})
    assert "200 " in await client.ask("GET_PARAMETER")
    assert "200 " in await client.ask("TEARDOWN")


async def test_receiver_reports_and_bodies_between_requests_are_skipped(client: Client) -> None:
    client.send(b"$\x05\x00\x08" + bytes(8))
    assert "200 " in await client.ask("GET_PARAMETER", "", {"Content-Length": "0"})
    client.send(b"GET_PARAMETER x RTSP/1.0\r\nCSeq: 9\r\nContent-Length: 6\r\n\r\n$a\r\n\r\n")
    assert "404 " in (await client._reader.readuntil(b"\r\n\r\n")).decode()
    assert "200 " in await client.ask("OPTIONS")


@pytest.mark.parametrize(("codec", "kinds"), [("h264", {24, 28}), ("hevc", {48, 49})])
def test_small_units_travel_together_and_large_ones_in_parts(
    tmp_path: Path, codec: str, kinds: set[int]
) -> None:
    video = load_video(make_video(tmp_path / "video.mp4", codec=codec, gop_seconds=0.4))
    assert (video.length_s, len(video.units), video.size) == (2, 50, (640, 360))
    keyframes = [unit for unit in video.units if unit.is_keyframe]
    assert len(keyframes) == 5
    for unit in keyframes:
        first, last = unit.payloads[0], unit.payloads[-1]
        found = [
            data[0] & 0x1F if codec == "h264" else data[0] >> 1 & 0x3F for data in (first, last)
        ]
        assert set(found) == kinds
        fragment_header = last[1 if codec == "h264" else 2]
        assert fragment_header >> 6 == 1  # end, not start
