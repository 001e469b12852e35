"""Test videos are what they say."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from tests.peers.videos import make_video


@pytest.mark.parametrize(
    ("name", "codec", "b_frames"),
    [
        ("a.mp4", "h264", 0),
        ("a.mp4", "h264", 2),
        ("a.ts", "h264", 0),
        ("a.mp4", "hevc", 0),
        ("a.mp4", "hevc", 2),
        ("a.mkv", "mpeg4", 0),
        ("a.mkv", "mjpeg", 0),
    ],
)
def test_a_video_has_the_frames_size_and_keyframes_it_was_asked_for(
    tmp_path: Path, name: str, codec: str, b_frames: int
) -> None:
    options = {"seconds": 2, "size": (320, 180), "fps": 20, "gop_seconds": 0.5}
    path = make_video(tmp_path / name, codec=codec, b_frames=b_frames, **options)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        assert (stream.codec_context.name, stream.width, stream.height) == (codec, 320, 180)
        assert stream.average_rate == 20
        assert not container.streams.audio
    assert len(packets) == 40
    keyframes = [number for number, packet in enumerate(packets) if packet.is_keyframe]
    assert keyframes == (list(range(40)) if codec == "mjpeg" else [0, 10, 20, 30])
    shown = [packet.pts for packet in packets]
    assert (shown != sorted(shown)) == (b_frames > 0)


def test_audio_comes_along_when_asked_for(tmp_path: Path) -> None:
    with av.open(str(make_video(tmp_path / "a.mp4", audio=True))) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
        assert float(container.duration / av.time_base) == pytest.approx(2, abs=0.1)


def test_the_same_parameters_are_encoded_once(tmp_path: Path) -> None:
    one = make_video(tmp_path / "one.mp4", seconds=1, bitrate_kbps=500)
    one_bytes = one.read_bytes()
    one.write_bytes(b"changed by a test")
    assert (
        make_video(tmp_path / "deeper" / "two.mp4", seconds=1, bitrate_kbps=500).read_bytes()
        == one_bytes
    )
