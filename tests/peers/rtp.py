"""A video file as RTP payloads: demuxed and cut once by `load_video`, then sent as often as wanted.

H.264 (RFC 6184: single NAL units, STAP-A, FU-A), H.265 (RFC 7798: single, AP, FU) and MPEG-4 part 2
(RFC 6416). Parameter sets stand in the SDP and in front of every keyframe.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
from av.bitstream import BitStreamFilterContext

CLOCK_HZ = 90_000
MAX_PAYLOAD_BYTES = 1400  # what fits an Ethernet frame, as real cameras do even over TCP

_START_CODE = re.compile(rb"\x00*\x00\x00\x01")


@dataclass(frozen=True)
class AccessUnit:
    """One frame; it leaves and is shown so many 90 kHz ticks after the start of the file."""

    send_ticks: int
    show_ticks: int
    is_keyframe: bool
    payloads: tuple[bytes, ...]


@dataclass(frozen=True)
class Video:
    """A file ready to be sent; ``length_ticks`` is from the first frame to its next showing."""

    path: Path
    codec: str
    size: tuple[int, int]
    length_ticks: int
    units: tuple[AccessUnit, ...]
    sdp_lines: tuple[str, ...]

    @property
    def length_s(self) -> float:
        """How long one round of the loop takes."""
        return self.length_ticks / CLOCK_HZ


@dataclass(frozen=True)
class _Frame:
    dts: int
    pts: int
    is_keyframe: bool
    data: bytes


def load_video(path: str | Path) -> Video:
    """Read a file whose first video stream is H.264, H.265 or MPEG-4 part 2, else `ValueError`.

    A file that has not changed is read once per process, so that many cameras can share it.
    """
    path = Path(path).resolve()
    status = path.stat()
    return _load(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=32)
def _load(path: Path, _mtime_ns: int, _size_bytes: int) -> Video:
    with av.open(str(path)) as container:
        if not container.streams.video:
            raise ValueError(f"{path.name} has no video stream")
        stream = container.streams.video[0]
        codec, size = (
            stream.codec_context.name,
            (stream.codec_context.width, stream.codec_context.height),
        )
        config = bytes(stream.codec_context.extradata or b"")
        if codec not in {"h264", "hevc", "mpeg4"}:
            raise ValueError(f"{path.name} is {codec}: this camera sends h264, hevc and mpeg4")
        frames = list(_frames(container, stream, codec))
    if len(frames) < 2:
        raise ValueError(f"{path.name} has {len(frames)} frames: a loop needs at least two")
    first, span = frames[0].dts, frames[-1].dts - frames[0].dts
    length_ticks = span + round(span / (len(frames) - 1))
    if codec == "mpeg4":
        cut, lines = [_pieces(frame.data) for frame in frames], _mpeg4_sdp(config)
    else:
        nals = _H265() if codec == "hevc" else _H264()
        cut, lines = nals.cut(frames), nals.sdp()
    units = [
        AccessUnit(frame.dts - first, frame.pts - first, frame.is_keyframe, tuple(payloads))
        for frame, payloads in zip(frames, cut, strict=True)
    ]
    return Video(path, codec, size, length_ticks, tuple(units), tuple(lines))


def _frames(
    container: av.container.InputContainer, stream: av.VideoStream, codec: str
) -> Iterator[_Frame]:
    ticks = (stream.time_base or Fraction(1, CLOCK_HZ)) * CLOCK_HZ
    annex_b = None if codec == "mpeg4" else BitStreamFilterContext(f"{codec}_mp4toannexb", stream)
    for packet in container.demux(stream):
        if packet.size == 0:
            continue  # the demuxer's flush
        for out in annex_b.filter(packet) if annex_b else [packet]:
            if out.dts is None or out.pts is None:
                raise ValueError(f"{container.name} has frames without times: use mp4, mkv or ts")
            yield _Frame(
                round(out.dts * ticks),
                round(out.pts * ticks),
                out.is_keyframe,
                bytes(out),
            )


def _pieces(data: bytes, size_bytes: int = MAX_PAYLOAD_BYTES) -> list[bytes]:
    return [data[at : at + size_bytes] for at in range(0, len(data), size_bytes)]


def _mpeg4_sdp(config: bytes) -> list[str]:
    return [
        "m=video 0 RTP/AVP 96",
        "a=rtpmap:96 MP4V-ES/90000",
        f"a=fmtp:96 profile-level-id=1;config={config.hex().upper()}",
    ]


class _NalCodec:
    """What H.264 and H.265 share: cutting frames into NAL units, and these into payloads."""

    header_bytes: int
    parameter_set_types: tuple[int, ...]
    delimiter_type: int

    def __init__(self) -> None:
        self.parameter_sets: dict[int, list[bytes]] = {}

    def cut(self, frames: Iterable[_Frame]) -> list[list[bytes]]:
        """The payloads of each frame, with parameter sets in front of every keyframe."""
        return [list(self._payloads(self._nals(frame))) for frame in frames]

    def _nals(self, frame: _Frame) -> list[bytes]:
        nals = [nal.rstrip(b"\x00") for nal in _START_CODE.split(frame.data)]
        nals = [nal for nal in nals if nal and self.type_of(nal) != self.delimiter_type]
        for kind in self.parameter_set_types:
            if of_kind := [nal for nal in nals if self.type_of(nal) == kind]:
                self.parameter_sets[kind] = of_kind
        if frame.is_keyframe:
            known = [
                nal
                for kind in self.parameter_set_types
                for nal in self.parameter_sets.get(kind, [])
            ]
            return known + [
                nal for nal in nals if self.type_of(nal) not in self.parameter_set_types
            ]
        return nals

    def _payloads(self, nals: list[bytes]) -> Iterator[bytes]:
        together: list[bytes] = []
        for nal in nals:
            size_bytes = self.header_bytes + sum(2 + len(other) for other in (*together, nal))
            if together and size_bytes > MAX_PAYLOAD_BYTES:
                yield self._joined(together)
                together = []
            if len(nal) > MAX_PAYLOAD_BYTES:
                yield from self._split(nal)
            else:
                together.append(nal)
        if together:
            yield self._joined(together)

    def _joined(self, nals: list[bytes]) -> bytes:
        if len(nals) == 1:
            return nals[0]
        return self.aggregate_header(nals) + b"".join(
            len(nal).to_bytes(2, "big") + nal for nal in nals
        )

    def _split(self, nal: bytes) -> Iterator[bytes]:
        indicator = self.fragment_header(nal)
        pieces = _pieces(nal[self.header_bytes :], MAX_PAYLOAD_BYTES - self.header_bytes - 1)
        for number, piece in enumerate(pieces):
            start, end = number == 0, number == len(pieces) - 1
            yield indicator + bytes([start << 7 | end << 6 | self.type_of(nal)]) + piece

    def type_of(self, nal: bytes) -> int:
        """The kind of NAL unit."""
        raise NotImplementedError

    def aggregate_header(self, nals: list[bytes]) -> bytes:
        """The payload header in front of several small NAL units."""
        raise NotImplementedError

    def fragment_header(self, nal: bytes) -> bytes:
        """The payload header of a part of a large NAL unit."""
        raise NotImplementedError

    def sdp(self) -> list[str]:
        """The SDP lines of the media, once `cut` has seen the parameter sets."""
        raise NotImplementedError


class _H264(_NalCodec):
    header_bytes, parameter_set_types, delimiter_type = 1, (7, 8), 9

    def type_of(self, nal: bytes) -> int:
        return nal[0] & 0x1F

    def aggregate_header(self, nals: list[bytes]) -> bytes:
        return bytes([max(nal[0] & 0x60 for nal in nals) | 24])

    def fragment_header(self, nal: bytes) -> bytes:
        return bytes([nal[0] & 0xE0 | 28])

    def sdp(self) -> list[str]:
        sps, pps = self.parameter_sets[7], self.parameter_sets[8]
        sprop = ",".join(b64encode(nal).decode() for nal in (*sps, *pps))
        profile = f"packetization-mode=1;profile-level-id={sps[0][1:4].hex()}"
        return [
            "m=video 0 RTP/AVP 96",
            "a=rtpmap:96 H264/90000",
            f"a=fmtp:96 {profile};sprop-parameter-sets={sprop}",
        ]


class _H265(_NalCodec):
    header_bytes, parameter_set_types, delimiter_type = 2, (32, 33, 34), 35

    def type_of(self, nal: bytes) -> int:
        return nal[0] >> 1 & 0x3F

    def aggregate_header(self, nals: list[bytes]) -> bytes:
        return bytes([nals[0][0] & 0x81 | 48 << 1, nals[0][1]])

    def fragment_header(self, nal: bytes) -> bytes:
        return bytes([nal[0] & 0x81 | 49 << 1, nal[1]])

    def sdp(self) -> list[str]:
        names = zip(("vps", "sps", "pps"), self.parameter_set_types, strict=True)
        sprop = ";".join(
            f"sprop-{name}="
            + ",".join(b64encode(nal).decode() for nal in self.parameter_sets[kind])
            for name, kind in names
        )
        return ["m=video 0 RTP/AVP 96", "a=rtpmap:96 H265/90000", f"a=fmtp:96 {sprop}"]
