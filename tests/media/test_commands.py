"""The record command has the right options in the right places."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from backend.media.commands import (
    RecordPlan,
    SourceKind,
    live_segment_time_s,
    record_command,
    source_kind,
)
from backend.media.ffmpeg import Ffmpeg

FFMPEG = Ffmpeg(Path("/opt/ffmpeg"), (9, 0, 2), has_hybrid_fragmented=True)
PLAN = RecordPlan(
    "rtsp://u:p@10.0.0.5/1", SourceKind.RTSP, Path("/data/live/c1"), Path("/data/archive/c1")
)

TEE = (
    "[f=hls:select=v:hls_time=0.9:hls_list_size=10:hls_delete_threshold=5"
    ":hls_flags=delete_segments+program_date_time+independent_segments+temp_file+omit_endlist"
    "+append_list+discont_start:start_number=1790000000:hls_segment_filename=%d.ts]"
    "index.m3u8"
    "|[f=segment:onfail=ignore:select=v:segment_time=600:segment_atclocktime=1:strftime=1"
    ":reset_timestamps=1:segment_format=mp4"
    r":segment_format_options=movflags=+hybrid_fragmented+frag_keyframe\\:flush_packets=1"
    r":segment_list=pipe\\:7:segment_list_type=csv]"
    "/data/archive/c1/archive_%Y%m%d_%H%M%S.mp4"
)


def argv(plan: RecordPlan = PLAN, ffmpeg: Ffmpeg = FFMPEG) -> list[str]:
    return record_command(ffmpeg, plan, segment_list_fd=7, first_live_number=1_790_000_000)


def input_options(plan: RecordPlan, ffmpeg: Ffmpeg = FFMPEG) -> dict[str, str]:
    """The input's options with their values; `-re` has none."""
    words = argv(plan, ffmpeg)
    words = words[words.index("-fflags") : words.index("-i")]
    words = [part for word in words for part in ((word, "") if word == "-re" else (word,))]
    return dict(zip(words[::2], words[1::2], strict=True))


def value(words: list[str], option: str) -> str:
    return words[words.index(option) + 1]


def test_an_rtsp_camera_is_copied_over_tcp_into_live_and_archive() -> None:
    assert argv() == [
        "/opt/ffmpeg",
        *("-hide_banner", "-nostdin", "-loglevel", "level+warning", "-nostats"),
        *("-progress", "pipe:1", "-stats_period", "1"),
        *("-fflags", "+genpts+discardcorrupt", "-use_wallclock_as_timestamps", "1"),
        *("-analyzeduration", "1000000", "-probesize", "1000000"),
        *("-protocol_whitelist", "rtsp,rtsps,rtp,tcp,tls,crypto"),
        *("-rtsp_transport", "tcp", "-timeout", "5000000"),
        *("-i", "rtsp://u:p@10.0.0.5/1"),
        *("-map", "0:V:0", "-an", "-sn", "-dn", "-c", "copy", "-f", "tee"),
        TEE,
    ]


def test_nothing_is_started_with_low_delay_flags_that_lose_the_first_pictures() -> None:
    for kind in SourceKind:
        assert "nobuffer" not in " ".join(argv(replace(PLAN, kind=kind)))


@pytest.mark.parametrize("kind", [SourceKind.RTSP, SourceKind.HTTP])
def test_live_pictures_get_the_time_of_their_arrival(kind: SourceKind) -> None:
    assert input_options(replace(PLAN, kind=kind))["-use_wallclock_as_timestamps"] == "1"


@pytest.mark.parametrize("kind", [SourceKind.HLS, SourceKind.HTTP_FILE, SourceKind.FILE])
def test_what_is_read_at_its_own_pace_keeps_its_timestamps(kind: SourceKind) -> None:
    options = input_options(replace(PLAN, kind=kind))
    assert "-use_wallclock_as_timestamps" not in options
    assert "-re" in options


@pytest.mark.parametrize("copy", [True, False])
def test_pictures_out_of_order_keep_their_timestamps(copy: bool) -> None:
    options = input_options(replace(PLAN, b_frames=True, copy=copy))
    assert "-use_wallclock_as_timestamps" not in options


def test_copied_pictures_out_of_order_go_into_fmp4() -> None:
    tee = argv(replace(PLAN, b_frames=True))[-1]
    assert "hls_segment_filename=%d.m4s:hls_segment_type=fmp4" in tee
    assert "hls_fmp4_init_filename=init.mp4" in tee
    assert "fmp4" not in argv(replace(PLAN, b_frames=True, copy=False))[-1]


@pytest.mark.parametrize("kind", [SourceKind.HTTP_FILE, SourceKind.FILE])
def test_a_finite_source_is_read_again_and_again(kind: SourceKind) -> None:
    assert input_options(replace(PLAN, kind=kind))["-stream_loop"] == "-1"


@pytest.mark.parametrize("kind", [SourceKind.HTTP, SourceKind.HLS, SourceKind.HTTP_FILE])
def test_an_http_source_that_hangs_is_left_after_five_seconds(kind: SourceKind) -> None:
    options = input_options(replace(PLAN, kind=kind, source="http://cam/x"))
    assert options["-rw_timeout"] == "5000000"
    assert "-timeout" not in options
    assert "-rtsp_transport" not in options


@pytest.mark.parametrize("kind", list(SourceKind))
def test_no_source_but_a_file_may_open_local_files(kind: SourceKind) -> None:
    allowed = input_options(replace(PLAN, kind=kind))["-protocol_whitelist"].split(",")
    assert ("file" in allowed) == (kind is SourceKind.FILE)
    assert not {"concat", "subfile", "pipe", "fd", "udp"} & set(allowed)


@pytest.mark.parametrize(
    "source", ["/media/-video-with-dash-.mp4", "-video-with-dash-.mp4", "file:///media/x.mp4"]
)
def test_a_file_name_is_never_an_option_or_another_protocol(source: str) -> None:
    words = argv(replace(PLAN, kind=SourceKind.FILE, source=source))
    assert value(words, "-i").startswith("file:")
    assert not value(words, "-i").startswith("file://")


@pytest.mark.parametrize(
    ("source", "kind", "version", "expected"),
    [
        ("rtsps://cam/1", SourceKind.RTSP, (9, 0), {True: "1", False: "0"}),
        ("rtsps://cam/1", SourceKind.RTSP, (5, 1, 9), {True: None, False: None}),
        ("https://cam/1", SourceKind.HTTP, (5, 1, 9), {True: "1", False: "0"}),
        ("rtsp://cam/1", SourceKind.RTSP, (9, 0), {True: None, False: None}),
    ],
)
def test_certificates_are_verified_unless_told_otherwise(
    source: str, kind: SourceKind, version: tuple[int, ...], expected: dict[bool, str | None]
) -> None:
    ffmpeg = replace(FFMPEG, version=version)
    for verify, option in expected.items():
        plan = replace(PLAN, source=source, kind=kind, verify_tls=verify)
        assert input_options(plan, ffmpeg).get("-tls_verify") == option


def test_what_a_browser_cannot_play_is_encoded_with_a_keyframe_each_second() -> None:
    words = argv(replace(PLAN, copy=False, keyframe_interval_s=4))
    assert value(words, "-c:v") == "libx264"
    assert value(words, "-force_key_frames") == "expr:gte(t,n_forced*1)"
    assert "hls_time=0.9:" in words[-1]
    assert "copy" not in words


def test_an_ffmpeg_without_hybrid_files_writes_fragmented_ones() -> None:
    tee = argv(ffmpeg=replace(FFMPEG, has_hybrid_fragmented=False))[-1]
    assert "movflags=+empty_moov+default_base_moof+frag_keyframe" in tee
    assert "hybrid" not in tee


@pytest.mark.parametrize(
    ("interval_s", "expected_s"),
    [(None, 0.9), (1.0, 0.9), (2.0, 1.8), (0.5, 0.9), (0.4, 0.72), (10.0, 9.0), (0.04, 0.98)],
)
def test_live_segments_end_a_little_before_a_keyframe_is_due(
    interval_s: float | None, expected_s: float
) -> None:
    plan = replace(PLAN, keyframe_interval_s=interval_s)
    assert live_segment_time_s(plan) == pytest.approx(expected_s)


@pytest.mark.parametrize(
    ("source", "duration_s", "container", "kind"),
    [
        ("rtsp://cam/1", None, "rtsp", SourceKind.RTSP),
        ("RTSPS://cam/1", None, "rtsp", SourceKind.RTSP),
        ("http://cam/mjpeg", None, "mpjpeg", SourceKind.HTTP),
        ("https://cam/live.m3u8", None, "hls", SourceKind.HLS),
        ("https://cam/video.mp4", 12.0, "mov,mp4", SourceKind.HTTP_FILE),
        ("/media/x.mp4", 12.0, "mov,mp4", SourceKind.FILE),
        ("file:///media/x.mp4", 12.0, "mov,mp4", SourceKind.FILE),
    ],
)
def test_how_a_source_is_read_follows_from_scheme_and_probe(
    source: str, duration_s: float | None, container: str, kind: SourceKind
) -> None:
    assert source_kind(source, duration_s=duration_s, container=container) is kind


@pytest.mark.parametrize("before_input", [True, False])
def test_wallclock_timestamps_work_only_in_front_of_the_input(
    ffmpeg: Ffmpeg, videos: dict[str, Path], before_input: bool
) -> None:
    words, source = ["-use_wallclock_as_timestamps", "1"], ["-i", str(videos["h264"])]
    middle = words + source if before_input else source + words
    done = subprocess.run(
        [str(ffmpeg.path), "-nostdin", *middle, "-c", "copy", "-f", "framecrc", "-"],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    times = [int(line.split(",")[2]) for line in done.stdout.splitlines() if line[0] != "#"]
    as_in_the_file = [0, 512, 1024]
    assert (times[:3] == as_in_the_file) is not before_input
