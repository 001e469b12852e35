"""Sources and files are described truly, or refused with a reason for users."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from backend.media import probe
from backend.media.faults import StreamFault
from backend.media.probe import ProbeError, ProbeResult, probe_file
from tests.media.harness import pids_with
from tests.peers.http_camera import HttpCamera
from tests.peers.rtsp_server import RtspCamera, Timestamps
from tests.peers.videos import make_video
from tests.waiting import until

ROOT = Path(__file__).parents[2]

probe_source = partial(probe.probe_source, timeout_s=100)  # a child may be slow to start


async def fault_of(probing) -> StreamFault:
    with pytest.raises(ProbeError) as caught:
        await probing
    error = caught.value
    assert error.code == f"source_{error.fault}"
    for secret in ("secretpw", "/", "Traceback", "av."):
        assert secret not in error.message
    return error.fault


async def test_a_file_is_described(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", seconds=3, size=(320, 240), fps=12, audio=True)
    found = await probe_file(path)
    assert found == ProbeResult(
        container="mov,mp4,m4a,3gp,3g2,mj2",
        codec="h264",
        profile="Constrained Baseline",
        pix_fmt="yuv420p",
        width=320,
        height=240,
        fps=12.0,
        has_audio=True,
        audio_codec="aac",
        has_b_frames=False,
        keyframe_interval_s=1.0,
        duration_s=3.0,
        rotation_deg=0,
    )
    assert found.browser_can_copy


@pytest.mark.parametrize(
    ("name", "codec", "b_frames", "can_copy"),
    [
        ("h264", "h264", False, True),
        ("b_frames", "h264", True, True),
        ("hevc", "hevc", False, False),
        ("mjpeg", "mjpeg", False, False),
    ],
)
async def test_what_a_browser_plays_is_told_apart(
    videos: dict[str, Path], name: str, codec: str, b_frames: bool, can_copy: bool
) -> None:
    found = await probe_file(videos[name])
    assert (found.codec, found.has_b_frames) == (codec, b_frames)
    assert found.browser_can_copy is can_copy


async def test_ten_bit_and_extended_h264_are_not_copied(videos: dict[str, Path]) -> None:
    found = await probe_file(videos["h264"])
    assert not replace(found, pix_fmt="yuv420p10le").browser_can_copy
    assert not replace(found, pix_fmt="yuv444p").browser_can_copy
    assert not replace(found, pix_fmt=None).browser_can_copy
    assert not replace(found, profile="Extended").browser_can_copy
    assert replace(found, pix_fmt="yuvj420p", profile="High").browser_can_copy


@pytest.mark.parametrize("suffix", [".mkv", ".ts", ".avi", ".flv"])
async def test_length_and_rate_are_measured_where_the_container_is_vague(
    tmp_path: Path, suffix: str
) -> None:
    found = await probe_file(
        make_video(tmp_path / f"a{suffix}", seconds=4, size=(320, 240), b_frames=0)
    )
    assert found.duration_s == pytest.approx(4, abs=0.1)
    assert found.fps == pytest.approx(25, abs=0.5)


async def test_a_name_like_an_option_is_a_file(tmp_path: Path) -> None:
    path = make_video(tmp_path / "-video-with-dash-.mp4", seconds=1, size=(320, 240))
    assert (await probe_file(path)).duration_s == pytest.approx(1, abs=0.05)
    assert (await probe_source(f"file://{path}")).codec == "h264"


async def test_a_crashed_recording_has_the_length_of_its_pictures(
    tmp_path: Path, videos: dict[str, Path], ffmpeg
) -> None:
    whole, cut = tmp_path / "whole.mp4", tmp_path / "cut.mp4"
    subprocess.run(
        [
            *(str(ffmpeg.path), "-nostdin", "-loglevel", "error", "-i", str(videos["h264"])),
            *("-c", "copy", "-movflags", "frag_keyframe+empty_moov", str(whole)),
        ],
        check=True,
        timeout=100,
    )
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    found = await probe_file(cut)
    assert found.duration_s is not None
    assert 1.5 < found.duration_s < 3


ODD = {
    "bbb_2500ms.ts": ("mpeg2video", 2.5),
    "h264_10bits.mp4": ("h264", 1.0),
    "h265_with_metadata_track.mp4": ("hevc", 0.1),
    "invalid-bitstream.webm": ("vp9", 2.0),
    "no_duration.webm": ("vp9", 4.94),
    "portrait_4k60.mp4": ("h264", 0.3),
    "sample_av1.mp4": ("av1", 1.0),
    "sample_fragmented.mp4": ("h264", 1.0),
    "sample_mdat_too_long.mp4": ("h264", 1.0),
    "video_with_failing_audio.mp4": ("h264", 11.2),
}


@pytest.mark.parametrize("name", ODD)
async def test_odd_files_have_their_true_length(testdata: Path, name: str) -> None:
    codec, duration_s = ODD[name]
    found = await probe_file(testdata / "odd" / name)
    assert found.codec == codec
    assert found.duration_s == pytest.approx(duration_s, abs=0.1)
    assert found.fps is not None
    assert 5 < found.fps < 121


async def test_a_phone_video_is_to_be_turned(testdata: Path) -> None:
    found = await probe_file(testdata / "odd" / "portrait_4k60.mp4")
    assert (found.width, found.height, found.rotation_deg) == (3840, 2160, 90)


@pytest.mark.parametrize("name", ["init_truncated.mp4", "mp4-with-audio.mp4"])
async def test_odd_files_without_pictures_are_refused(testdata: Path, name: str) -> None:
    assert await fault_of(probe_file(testdata / "odd" / name)) is StreamFault.NO_VIDEO


async def test_files_that_are_no_video_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "notes.txt").write_text("plain words\n" * 500)
    (tmp_path / "noise.mp4").write_bytes(bytes(range(256)) * 50)
    for name in ["empty.mp4", "notes.txt", "noise.mp4"]:
        assert await fault_of(probe_file(tmp_path / name)) is StreamFault.NO_VIDEO, name
    assert await fault_of(probe_file(tmp_path / "gone.mp4")) is StreamFault.NOT_FOUND
    assert await fault_of(probe_file(tmp_path)) is StreamFault.NOT_FOUND


async def test_a_local_playlist_cannot_make_the_server_call_others(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        port = listener.getsockname()[1]
        playlist = tmp_path / "list.m3u8"
        playlist.write_text(f"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:{port}/x.ts\n#EXT-X-ENDLIST\n")
        await fault_of(probe_file(playlist))
        with pytest.raises(BlockingIOError):  # nobody came
            listener.accept()


async def test_rtsp_cameras_are_described(videos: dict[str, Path]) -> None:
    async with (
        RtspCamera(videos["h264"], user="u", password="p@ss/word") as plain,
        RtspCamera(videos["b_frames"]) as reordered,
        RtspCamera(videos["hevc"]) as hevc,
        RtspCamera(videos["h264"]) as without_time,
    ):
        await without_time.set_timestamps(Timestamps.ZERO)
        found = await asyncio.gather(
            *(probe_source(camera.url) for camera in (plain, reordered, hevc, without_time))
        )
    assert [each.codec for each in found] == ["h264", "h264", "hevc", "h264"]
    assert [each.has_b_frames for each in found[:3]] == [False, True, False]
    for each in found:
        assert (each.width, each.height, each.duration_s) == (320, 240, None)
        assert not each.has_audio
    for each in found[:3]:
        assert each.fps == pytest.approx(25, abs=1)
        assert each.keyframe_interval_s == pytest.approx(1, abs=0.1)
    # by their arrival, which a machine that stalls delays; a picture lasts 0.04 s
    assert 0.1 < (found[3].keyframe_interval_s or 1) < 30


async def test_http_cameras_are_described(videos: dict[str, Path]) -> None:
    with HttpCamera(mjpeg=videos["mjpeg"], mp4=videos["h264"]) as camera:
        live, file = await asyncio.gather(
            probe_source(camera.mjpeg_url), probe_source(camera.mp4_url)
        )
    assert (live.codec, live.container, live.duration_s) == ("mjpeg", "mpjpeg", None)
    assert (file.codec, file.duration_s) == ("h264", 4.0)


async def test_refusals_of_sources_are_told_apart(videos: dict[str, Path]) -> None:
    with socket.socket() as free, HttpCamera(mp4=videos["h264"], user="u", password="pw") as http:
        free.bind(("127.0.0.1", 0))
        closed = f"127.0.0.1:{free.getsockname()[1]}"
        async with RtspCamera(videos["h264"], user="u", password="pw") as camera:
            for url, fault in [
                (f"rtsp://u:secretpw@{closed}/1", StreamFault.UNREACHABLE),
                (f"http://u:secretpw@{closed}/1", StreamFault.UNREACHABLE),
                ("rtsp://u:secretpw@no-such-host.invalid/1", StreamFault.UNREACHABLE),
                (camera.url_as("u", "secretpw"), StreamFault.AUTH),
                (camera.bare_url, StreamFault.AUTH),
                (camera.url_as("u", "pw", path="no"), StreamFault.NOT_FOUND),
                (http.url_as("u", "secretpw", path="video.mp4"), StreamFault.AUTH),
                (http.url_as("u", "pw", path="no"), StreamFault.NOT_FOUND),
            ]:
                assert await fault_of(probe_source(url)) is fault, url


async def test_a_camera_that_hangs_is_given_up_in_time(
    videos: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "SOCKET_TIMEOUT_US", 100_000_000)  # nobody else gives it up
    async with RtspCamera(videos["h264"]) as camera:
        await camera.hang()
        began = time.monotonic()
        assert await fault_of(probe_source(camera.url, timeout_s=2)) is StreamFault.TIMEOUT
        assert time.monotonic() - began < 30


async def test_a_child_that_hangs_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, videos: dict[str, Path]
) -> None:
    name = f"never_ends_{os.getpid()}"
    (tmp_path / f"{name}.py").write_text("import time\ntime.sleep(1000)\n")
    monkeypatch.setattr(probe, "_ROOT", tmp_path)
    monkeypatch.setattr(probe, "CHILD_MODULE", name)
    assert await fault_of(probe_file(videos["h264"], timeout_s=0.5)) is StreamFault.TIMEOUT
    await until(lambda: not pids_with(name))


async def test_a_child_that_crashes_is_no_verdict_on_the_source(
    monkeypatch: pytest.MonkeyPatch, videos: dict[str, Path]
) -> None:
    monkeypatch.setattr(probe, "CHILD_MODULE", "backend.media.no_such_module")
    assert await fault_of(probe_file(videos["h264"])) is StreamFault.UNKNOWN


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ssl.SSLContext]:
    """A certificate that nobody trusts."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl command to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", "/CN=camera", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
        timeout=100,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def test_a_certificate_that_nobody_trusts_is_refused_unless_told_otherwise(
    videos: dict[str, Path], self_signed: ssl.SSLContext
) -> None:
    async with RtspCamera(videos["h264"], ssl_context=self_signed) as camera:
        assert await fault_of(probe_source(camera.url)) is StreamFault.TLS
        assert (await probe_source(camera.url, verify_tls=False)).codec == "h264"


async def test_the_address_never_shows_in_the_process_list(videos: dict[str, Path]) -> None:
    async with RtspCamera(videos["h264"], user="u", password="hidden-word") as camera:
        await camera.hang()
        probing = asyncio.ensure_future(probe_source(camera.url))
        await until(lambda: camera.connections_count, within_s=60)
        assert pids_with(probe.CHILD_MODULE)
        assert pids_with("hidden-word") == []
        probing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probing


def test_the_library_is_loaded_by_nobody_but_the_child() -> None:
    code = """
import importlib, pkgutil, sys
import backend.media
for module in pkgutil.iter_modules(backend.media.__path__, "backend.media."):
    if not module.name.endswith("_child"):
        importlib.import_module(module.name)
print(sorted({"av", "cv2", "fastapi", "sqlalchemy", "numpy"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=100,
        check=True,
    )
    assert done.stdout.strip() == "[]"
