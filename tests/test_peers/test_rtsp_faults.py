"""The faults of the test camera, as ffmpeg and PyAV suffer them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice, pairwise
from pathlib import Path

import av
import pytest

from tests.peers.rtsp_server import RunningCamera, running_camera
from tests.peers.videos import make_video
from tests.test_peers.recording import TIMEOUT_S, ffmpeg, open_url, start_ffmpeg
from tests.waiting import eventually

FPS = 25
MINUTE = ("-t", "60", "-c", "copy")
EACH_PACKET = ("-flush_packets", "1", "-f", "framecrc", "-")


@pytest.fixture
def camera(tmp_path: Path) -> Iterator[RunningCamera]:
    with running_camera(make_video(tmp_path / "video.mp4", gop_seconds=0.4)) as camera:
        yield camera


def packets_in(framecrc: Path) -> int:
    """How many packets were written so far; the lines of the head do not count."""
    return sum(line.startswith("0, ") for line in framecrc.read_text().splitlines())


def _first_packet_is_a_keyframe(camera: RunningCamera) -> bool:
    with open_url(camera.url) as container:
        return next(container.demux(video=0)).is_keyframe


def test_a_hung_camera_sends_no_frame_and_goes_on_when_resumed(
    camera: RunningCamera, tmp_path: Path
) -> None:
    received = tmp_path / "received"
    with (
        received.open("wb") as lines,
        start_ffmpeg(camera.url, *MINUTE, *EACH_PACKET, stdout=lines) as process,
    ):
        try:
            eventually(lambda: packets_in(received) > FPS, what="a second of video")
            camera.hang()
            sent_count = camera.frames_sent_count
            # ffmpeg knows that a picture is whole when the next one begins, or at the end
            eventually(lambda: packets_in(received) >= sent_count - 1)
            camera.drop()
            process.communicate(timeout=TIMEOUT_S)
        finally:
            process.kill()
    assert camera.frames_sent_count == sent_count
    assert packets_in(received) == sent_count
    camera.resume()
    assert _first_packet_is_a_keyframe(camera)


def test_a_client_stays_connected_through_a_short_hang(camera: RunningCamera) -> None:
    with open_url(camera.url) as container:
        packets = container.demux(video=0)
        for _ in islice(packets, FPS):
            pass
        camera.hang()
        hung_s = time.monotonic()
        eventually(lambda: time.monotonic() - hung_s > 0.5, what="half a second")
        camera.resume()
        times_s = [float(packet.pts * packet.time_base) for packet in islice(packets, 2 * FPS)]
    assert max(later - earlier for earlier, later in pairwise(times_s)) > 0.4
    assert camera.connections_count == 1


def test_a_hung_camera_takes_connections_but_does_not_answer(camera: RunningCamera) -> None:
    camera.hang()
    status, messages = ffmpeg(camera.url, "-f", "null", "-", silence_s=1)
    assert status != 0
    assert "timed out" in messages.lower()
    eventually(lambda: camera.connections_count == 1)
    camera.drop()
    camera.resume()
    assert _first_packet_is_a_keyframe(camera)


def test_a_dropped_client_sees_the_end_and_can_come_again(
    camera: RunningCamera, tmp_path: Path
) -> None:
    with start_ffmpeg(camera.url, *MINUTE, str(tmp_path / "recorded.mp4")) as process:
        eventually(lambda: camera.frames_sent_count > FPS, what="a second of video")
        camera.drop()
        process.communicate(timeout=TIMEOUT_S)
    assert camera.playing_count == 0
    assert _first_packet_is_a_keyframe(camera)


def test_a_muted_camera_sends_one_keyframe_and_still_answers(camera: RunningCamera) -> None:
    camera.mute_after_keyframe()
    with ExitStack() as clients:
        for number in (1, 2):
            client = clients.enter_context(start_ffmpeg(camera.url, "-f", "null", "-"))
            clients.callback(client.kill)
            eventually(lambda wanted=number: camera.playing_count == wanted, what="an answer")
            eventually(lambda wanted=number: camera.frames_sent_count >= wanted, what="a keyframe")
        assert camera.frames_sent_count == 2  # the first one had no other picture meanwhile
    camera.resume()
    assert _first_packet_is_a_keyframe(camera)


def test_a_camera_that_went_away_refuses_connections_until_it_is_back(
    camera: RunningCamera,
) -> None:
    with start_ffmpeg(camera.url, "-f", "null", "-") as process:
        eventually(lambda: camera.playing_count, what="a client")
        camera.go_away()
        process.communicate(timeout=TIMEOUT_S)
    _, messages = ffmpeg(camera.url, "-f", "null", "-")
    assert "Connection refused" in messages
    camera.come_back()
    assert _first_packet_is_a_keyframe(camera)


def test_zero_timestamps_stand_still(camera: RunningCamera) -> None:
    camera.set_timestamps("zero")
    with open_url(camera.url) as container:
        assert len({packet.pts for packet in islice(container.demux(video=0), 1, FPS)}) == 1


def test_random_timestamps_go_both_ways(camera: RunningCamera) -> None:
    with open_url(camera.url) as container:
        camera.set_timestamps("random")
        times = [packet.pts for packet in islice(container.demux(video=0), 1, 2 * FPS)]
    steps = [later - earlier for earlier, later in pairwise(times)]
    assert min(steps) < -90_000
    assert max(steps) > 90_000


def test_jumping_timestamps_are_an_hour_ahead_and_back_again(camera: RunningCamera) -> None:
    with open_url(camera.url) as container:
        camera.set_timestamps("jumping")
        times, steps_s = [], []
        for packet in islice(container.demux(video=0), 1, 60 * FPS):
            times.append(packet.pts)
            steps_s = [(later - earlier) / 90_000 for earlier, later in pairwise(times)]
            if steps_s and min(steps_s) < -1:  # it is back
                break
    assert 3599 < max(steps_s) < 3601
    assert -3601 < min(steps_s) < -3599


def test_a_switch_of_video_changes_the_size_in_mid_stream(
    camera: RunningCamera, tmp_path: Path
) -> None:
    other = make_video(tmp_path / "other.mp4", size=(320, 240))
    with open_url(camera.url) as container:
        sizes, times = [], []
        for frame in container.decode(video=0):
            if not sizes:
                camera.switch_video(other)
            sizes.append((frame.width, frame.height))
            times.append(frame.pts)
            if sizes[-1] == (320, 240) and len(sizes) > 4 * FPS:
                break
    assert set(sizes) == {(640, 360), (320, 240)}
    assert sizes == sorted(sizes, reverse=True)
    assert {later - earlier for earlier, later in pairwise(times[1:])} == {90_000 // FPS}


def test_a_switch_to_another_codec_is_refused(camera: RunningCamera, tmp_path: Path) -> None:
    other = make_video(tmp_path / "other.mp4", codec="hevc")
    with pytest.raises(ValueError, match="hevc"):
        camera.switch_video(other)


def test_silent_audio_is_announced_but_never_sent(tmp_path: Path) -> None:
    video = make_video(tmp_path / "video.mp4")
    options = {"rtsp_transport": "tcp", "analyzeduration": "500000"}
    with running_camera(video, silent_audio=True) as camera:
        container = av.open(camera.url, options=options, timeout=60)
        codecs = [stream.codec_context.name for stream in container.streams]
        sent = {packet.stream.type for packet in islice(container.demux(), 2 * FPS)}
        container.close()
    assert codecs == ["h264", "pcm_mulaw"]
    assert sent == {"video"}


def test_a_slow_camera_answers_late_and_shows_its_first_picture_later(
    camera: RunningCamera,
) -> None:
    camera.set_delays(answer_s=0.2, first_frame_s=1)
    started_s = time.monotonic()
    assert _first_packet_is_a_keyframe(camera)
    assert time.monotonic() - started_s > 4 * 0.2 + 1  # OPTIONS, DESCRIBE, SETUP, PLAY
