"""The HTTP camera, as ffmpeg, PyAV and a plain HTTP client see it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

import av
import httpx
import pytest

from tests.peers.http_camera import HttpCamera
from tests.peers.videos import make_video
from tests.test_peers.recording import TIMEOUT_S, ffmpeg, open_url, record

FPS = 25


@pytest.fixture
def camera(tmp_path: Path) -> Iterator[HttpCamera]:
    mjpeg = make_video(tmp_path / "mjpeg.mkv", seconds=1, size=(320, 240), codec="mjpeg")
    with HttpCamera(mjpeg=mjpeg, mp4=make_video(tmp_path / "video.mp4")) as camera:
        yield camera


def test_the_mjpeg_stream_loops_in_real_time(camera: HttpCamera) -> None:
    started_s = time.monotonic()
    with open_url(camera.mjpeg_url) as container:
        sizes = {
            (frame.width, frame.height) for frame in islice(container.decode(video=0), 2 * FPS)
        }
    assert sizes == {(320, 240)}
    assert 1.9 < time.monotonic() - started_s < 40  # two seconds, on a machine that does not stall


def test_ffmpeg_records_the_progressive_mp4_to_its_end(camera: HttpCamera, tmp_path: Path) -> None:
    recording = record(camera.mp4_url, tmp_path / "recorded.mp4", seconds=60)
    assert (recording.codec, recording.decoded_count) == ("h264", 2 * FPS)


def test_a_range_of_the_mp4_is_sent_alone(camera: HttpCamera, tmp_path: Path) -> None:
    data = (tmp_path / "video.mp4").read_bytes()
    get = partial(httpx.get, timeout=TIMEOUT_S)
    middle = get(camera.mp4_url, headers={"Range": "bytes=100-199"})
    assert (middle.status_code, middle.content) == (206, data[100:200])
    assert middle.headers["Content-Range"] == f"bytes 100-199/{len(data)}"
    beyond = get(camera.mp4_url, headers={"Range": f"bytes={len(data)}-"})
    assert beyond.status_code == 416
    head = httpx.head(camera.mp4_url, timeout=TIMEOUT_S)
    assert head.headers["Content-Length"] == str(len(data))


@pytest.mark.parametrize("auth", ["basic", "digest"])
def test_credentials_are_checked(tmp_path: Path, auth: str) -> None:
    video = make_video(tmp_path / "video.mp4")
    with HttpCamera(mp4=video, user="u", password="p@ss", auth=auth) as camera:
        _, messages = ffmpeg(camera.url_as("u", "wrong", path="video.mp4"), "-f", "null", "-")
        assert "401 Unauthorized" in messages
        with open_url(camera.mp4_url) as container:
            assert container.streams.video[0].codec_context.name == "h264"


def test_what_the_camera_does_not_have_is_not_found(tmp_path: Path) -> None:
    with HttpCamera() as camera:
        for url in (camera.mjpeg_url, camera.mp4_url, camera.url_as(path="other")):
            assert httpx.get(url, timeout=TIMEOUT_S).status_code == 404


def test_a_slow_or_hung_camera_lets_a_client_time_out(camera: HttpCamera) -> None:
    camera.answer_delay_s = 60
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(camera.mp4_url, timeout=0.3)
    camera.answer_delay_s = 0
    address = urlsplit(camera.mjpeg_url)
    with socket.create_connection((address.hostname, address.port), TIMEOUT_S) as client:
        client.sendall(b"GET /mjpeg HTTP/1.0\r\n\r\n")
        received = b""
        while b"--frame" not in received:
            received += client.recv(65_536)
        camera.hang()
        client.settimeout(0.5)
        with pytest.raises(TimeoutError):
            while client.recv(65_536):  # what was on its way
                pass
    camera.resume()
    assert httpx.head(camera.mp4_url, timeout=TIMEOUT_S).status_code == 200


def test_a_dropped_client_sees_the_end(camera: HttpCamera) -> None:
    with open_url(camera.mjpeg_url) as container:
        frames = container.decode(video=0)
        next(frames)
        camera.drop()
        with suppress(av.FFmpegError):
            assert len(list(islice(frames, 60 * FPS))) < 60 * FPS
