"""The test camera is a camera to ffmpeg and PyAV; what they see of it when all is well."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, pairwise
from pathlib import Path

import av
import pytest

from tests.peers.rtsp_server import RtspCamera, running_camera
from tests.peers.videos import make_video
from tests.test_peers.recording import ffmpeg, open_url, record

FPS = 25


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return make_video(tmp_path / "video.mp4", gop_seconds=0.4)


@pytest.mark.parametrize(("codec", "seconds"), [("h264", 5), ("hevc", 3), ("mpeg4", 3)])
def test_ffmpeg_records_a_two_second_loop_without_a_seam(
    tmp_path: Path, codec: str, seconds: int
) -> None:
    video = make_video(tmp_path / "video.mp4", codec=codec, gop_seconds=0.4)
    with running_camera(video) as camera:
        recording = record(camera.url, tmp_path / "recorded.mp4", seconds=seconds)
    assert recording.codec == codec
    # ffmpeg gives the first packet of an H.264 or H.265 camera no time, and takes one frame more
    assert recording.frame_count in {seconds * FPS, seconds * FPS + 1}
    assert recording.decoded_count == recording.frame_count
    assert recording.length_s == pytest.approx(seconds, abs=0.1)
    assert recording.keyframe_count == len(range(0, recording.frame_count, 10))


def test_every_picture_comes_out_as_it_is_in_the_file(video: Path) -> None:
    with av.open(str(video)) as container:
        in_file = {frame.to_ndarray().tobytes() for frame in container.decode(video=0)}
    with running_camera(video) as camera, open_url(camera.url) as container:
        pictures = [
            frame.to_ndarray().tobytes() for frame in islice(container.decode(video=0), 3 * FPS)
        ]
    assert len(in_file) == 2 * FPS
    assert set(pictures) == in_file
    assert pictures[: FPS // 2] == pictures[2 * FPS : 2 * FPS + FPS // 2]


def test_b_frames_arrive_in_decode_order_with_the_times_at_which_they_are_shown(
    tmp_path: Path,
) -> None:
    video = make_video(tmp_path / "video.mp4", b_frames=2)
    with running_camera(video) as camera, open_url(camera.url) as container:
        sent = [packet.pts for packet in islice(container.demux(video=0), 1, 3 * FPS)]
        shown = [frame.pts for frame in islice(container.decode(video=0), FPS)]
    assert sent != sorted(sent)
    assert shown == sorted(shown)
    assert {later - earlier for earlier, later in pairwise(sorted(sent)[3:-3])} == {90_000 // FPS}


def test_rtp_time_goes_on_through_its_32_bit_wrap(video: Path) -> None:
    with (
        running_camera(video, first_rtp_time=2**32 - 90_000) as camera,
        open_url(camera.url) as container,
    ):
        sent = [packet.pts for packet in islice(container.demux(video=0), 1, 3 * FPS)]
    assert {later - earlier for earlier, later in pairwise(sent)} == {90_000 // FPS}


def test_two_clients_at_once_get_the_whole_stream(tmp_path: Path, video: Path) -> None:
    with running_camera(video) as camera, ThreadPoolExecutor() as threads:
        names = [tmp_path / "one.mp4", tmp_path / "two.mp4"]
        recordings = list(threads.map(lambda name: record(camera.url, name, seconds=2), names))
        assert camera.connections_count == 2
    assert [recording.decoded_count in {2 * FPS, 2 * FPS + 1} for recording in recordings] == [
        True,
        True,
    ]


def test_a_client_that_prefers_udp_is_told_to_use_tcp(video: Path) -> None:
    with running_camera(video) as camera:
        with pytest.raises(av.FFmpegError):
            av.open(camera.url, options={"rtsp_transport": "udp"}, timeout=60)
        with av.open(camera.url, timeout=60) as container:  # asks for UDP, then for TCP
            assert next(container.demux(video=0)).is_keyframe


@pytest.mark.parametrize("auth", ["basic", "digest"])
def test_only_the_right_password_opens_the_camera(video: Path, auth: str) -> None:
    with running_camera(video, user="watch man", password="p@ss/:wörd", auth=auth) as camera:
        for wrong in (
            camera.bare_url,
            camera.url_as("watch man", "guess"),
            camera.url_as("x", "p@ss/:wörd"),
        ):
            status, messages = ffmpeg(wrong, "-f", "null", "-")
            assert status != 0
            assert "401 Unauthorized" in messages
        with open_url(camera.url) as container:
            assert next(container.demux(video=0)).is_keyframe


def test_another_path_is_not_found_and_a_query_does_not_matter(video: Path) -> None:
    with running_camera(video, path="live/main") as camera:
        status, messages = ffmpeg(camera.url_as(path="live/other"), "-f", "null", "-")
        assert (status != 0, "404 Not Found" in messages) == (True, True)
        with open_url(f"{camera.url}?camera=7") as container:
            assert next(container.demux(video=0)).is_keyframe


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_a_camera_can_speak_tls(tmp_path: Path, video: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    argv = ["openssl", "req", "-x509", *subject, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(argv, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with running_camera(video, ssl_context=context) as camera:
        assert camera.url.startswith("rtsps://")
        _, messages = ffmpeg(camera.url, "-f", "null", "-")
        with open_url(camera.url, tls_verify="0") as container:
            assert next(container.demux(video=0)).is_keyframe
    assert "certificate verify failed" in messages


def test_a_file_that_the_camera_cannot_send_is_refused_at_once(tmp_path: Path) -> None:
    video = make_video(tmp_path / "video.mkv", seconds=1, codec="mjpeg")
    with pytest.raises(ValueError, match="mjpeg"), running_camera(video):
        pass


def test_the_command_line_prints_its_url_and_obeys(tmp_path: Path, video: Path) -> None:
    argv = [sys.executable, "-m", "tests.peers.rtsp_server", "--video", str(video), "--user", "u"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [*argv, "--password", "p", "--path", "yard"], cwd=root, **pipes
    ) as process:
        try:
            assert process.stdin
            assert process.stdout
            url = process.stdout.readline().strip()
            assert url.startswith("rtsp://u:p@127.0.0.1:")
            assert url.endswith("/yard")
            with open_url(url) as container:
                assert next(container.demux(video=0)).is_keyframe
            for command, answer in {
                "go_away": "ok",
                "timestamps odd": "error",
                "dance": "error",
            }.items():
                process.stdin.write(f"{command}\n")
                assert process.stdout.readline().startswith(f"{answer} ")
            with pytest.raises(av.FFmpegError):
                open_url(url)
        finally:
            process.kill()


async def test_an_async_test_can_hold_a_camera_on_its_own_loop(video: Path) -> None:
    async with RtspCamera(video) as camera:
        first_port = camera.port
        assert camera.url == f"rtsp://127.0.0.1:{first_port}/cam"
    async with RtspCamera(video, port=first_port) as camera:
        assert camera.port == first_port
