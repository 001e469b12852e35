"""Which sources a camera may have, and whose credentials go where."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from backend.kernel.errors import InvalidInput
from backend.kernel.redact import redact
from backend.monitoring.cameras.sources import (
    check_source,
    is_refused_address,
    open_source,
    restore_credentials,
)
from backend.monitoring.demo import DEMO_SCENE

ALLOWED = [
    "rtsp://192.168.1.20:554/stream1",
    "rtsp://admin:p%40ss@10.0.0.5/h264?channel=1&subtype=0",
    "rtsps://cam.example.com/live",
    "http://127.0.0.1:8080/video.mjpg",
    "https://[fd12:3456::7]:8443/a.m3u8",
    "rtsp://[::1]:8554/cam",
    "rtsp://localhost/cam",
    "RTSP://10.0.0.5/UPPER",
    "rtsp://10.0.0.5/user=admin_password=x_channel=1_stream=0.sdp",
    "demo:",
]

REFUSED = [
    "",
    "10.0.0.5",
    "ftp://10.0.0.5/a.mp4",
    "gopher://10.0.0.5/",
    "udp://239.0.0.1:1234",
    "concat:a.mp4|b.mp4",
    "subfile,,start,0,end,9,,:/etc/passwd",
    "data:video/mp4;base64,AAAA",
    "pipe:0",
    "-i",
    "demo:other",
    "rtsp://",
    "rtsp:/10.0.0.5/x",
    "http://169.254.169.254/latest/meta-data",
    "http://169.254.169.254./latest",
    "rtsp://169.254.7.7/x",
    "http://0xa9fea9fe/latest",
    "http://2852039166/latest",
    "http://0251.0376.0251.0376/latest",
    "http://169.254.43518/latest",
    "http://[fe80::1]/x",
    "http://[fe80::1%25eth0]/x",
    "http://[fd00:ec2::254]/latest",
    "http://[::ffff:169.254.169.254]/latest",
    "http://[::169.254.169.254]/latest",
    "http://[64:ff9b::169.254.169.254]/latest",
    "http://[2002:a9fe:a9fe::1]/latest",
    "http://100.100.100.200/latest",
    "http://0.0.0.0/x",
    "http://224.0.0.1/x",
    "http://169.254%2e169.254/latest",
    "http://good.example\\@169.254.169.254/x",
    "http://cam.example/a b",
    "http://cam.example/a\nb",
    "rtsp://cam.example:99999/x",
    "rtsp://admin:12#34@10.0.0.5/x",  # the password would be shown: where it ends is not sure
    "rtsp://admin:12/34@10.0.0.5/x",
    "rtsp://admin:12?34@10.0.0.5/x",
]


@pytest.mark.parametrize("source", ALLOWED)
def test_a_camera_may_be(source: str, tmp_path: Path) -> None:
    check_source(source, media_dirs=[tmp_path])


@pytest.mark.parametrize("source", REFUSED)
def test_a_camera_is_never(source: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_source(source, media_dirs=[tmp_path])
    assert refused.value.code == "source_refused"


def test_files_are_read_only_from_the_media_folders_whatever_links_say(tmp_path: Path) -> None:
    media, outside = tmp_path / "media", tmp_path / "outside"
    media.mkdir()
    outside.mkdir()
    (media / "yard one.mp4").write_bytes(b"x")
    (outside / "secret.mp4").write_bytes(b"x")
    (media / "link.mp4").symlink_to(outside / "secret.mp4")
    (media / "folder").symlink_to(outside)
    for allowed in (
        f"file:{media}/yard one.mp4",
        f"file://{media}/yard%20one.mp4",
        f"file://localhost{media}/yard%20one.mp4",
        "file:yard one.mp4",
        f"file:{media}/not-there-yet.mp4",
    ):
        check_source(allowed, media_dirs=[media])
    for refused in (
        f"file:{outside}/secret.mp4",
        f"file:{media}/../outside/secret.mp4",
        f"file:{media}/link.mp4",
        f"file:{media}/folder/secret.mp4",
        f"file://{media}/%2e%2e/outside/secret.mp4",
        f"file://elsewhere{media}/yard%20one.mp4",
        f"file:{media}",
        "file:../outside/secret.mp4",
        "file:/etc/passwd",
        "file:",
    ):
        with pytest.raises(InvalidInput):
            check_source(refused, media_dirs=[media])


async def test_ffmpeg_is_given_the_url_the_file_or_the_demo_scene(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    dirs = [tmp_path]
    assert await open_source("rtsp://127.0.0.1/x", media_dirs=dirs) == "rtsp://127.0.0.1/x"
    assert await open_source("file:a.mp4", media_dirs=dirs) == str(tmp_path / "a.mp4")
    assert await open_source("demo:", media_dirs=dirs) == str(DEMO_SCENE)
    assert DEMO_SCENE.is_file()


async def test_a_name_that_leads_to_a_metadata_address_is_refused_when_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(host: str, *_: Any, **__: Any) -> list[Any]:
        address = {"good.example": "10.0.0.5", "bad.example": "169.254.169.254"}[host]
        return [(socket.AF_INET, 1, 6, "", (address, 0))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    good, bad = "http://good.example/x", "http://bad.example/x"
    check_source(bad, media_dirs=[tmp_path])  # as it is written nothing is wrong with it
    assert await open_source(good, media_dirs=[tmp_path]) == good
    with pytest.raises(InvalidInput):
        await open_source(bad, media_dirs=[tmp_path])


async def test_a_name_that_nobody_knows_is_left_to_ffmpeg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    source = "rtsp://nobody.example/x"
    assert await open_source(source, media_dirs=[tmp_path]) == source


def test_names_are_no_literal_addresses() -> None:
    assert not is_refused_address("cam.example")
    assert not is_refused_address("fe80.example")


STORED = "rtsp://admin:s3cret@10.0.0.5:554/live?token=abcdef&channel=1"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (redact(STORED), STORED),
        ("rtsp://***@10.0.0.5:554/other", "rtsp://admin:s3cret@10.0.0.5:554/other"),
        ("rtsp://admin:***@10.0.0.5:554/x", "rtsp://admin:s3cret@10.0.0.5:554/x"),
        ("rtsp://10.0.0.5:554/x?token=***", "rtsp://10.0.0.5:554/x?token=abcdef"),
        ("rtsp://new:pass@10.9.9.9/x", "rtsp://new:pass@10.9.9.9/x"),
        ("demo:", "demo:"),
    ],
)
def test_a_mask_stands_for_what_is_stored(sent: str, expected: str) -> None:
    assert restore_credentials(sent, STORED) == expected


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("rtsp://***@evil.example:554/live", STORED),  # would hand the password to somebody else
        ("rtsp://***@10.0.0.5:555/live", STORED),
        ("rtsp://10.0.0.5:554/?key=***", STORED),
        ("rtsp://other:***@10.0.0.5:554/", STORED),
        ("rtsp://***@10.0.0.5:554/", "rtsp://10.0.0.5:554/"),
        ("rtsp://***@10.0.0.5:554/", None),
        ("rtsp://***@10.0.0.5:554/", "demo:"),
    ],
)
def test_a_mask_that_stands_for_nothing_is_refused(sent: str, stored: str | None) -> None:
    with pytest.raises(InvalidInput):
        restore_credentials(sent, stored)
