"""The ffmpeg command line that records a camera. Pure: a plan in, an argv out, nothing is run.

One process writes both the live HLS folder and the archive (`tee`), so that a camera is connected
to once; a substream has no archive. Why each option is there:

- `-use_wallclock_as_timestamps 1` (an input option: behind `-i` it silently does nothing) repairs
  cameras whose timestamps are zero, random or jumping. Not with B-frames, whose order it would
  break, and not for what is read at its own pace (`-re`).
- `segment_atclocktime` cuts archives at multiples of their length past midnight UTC (the process
  runs with TZ=UTC), at the next keyframe.
- `hybrid_fragmented` mp4 is a fragmented file that becomes a plain one when it is finished: it
  loses at most the last group of pictures to a crash and opens at once in a browser. Where an
  older ffmpeg lacks it, plainly fragmented files are as safe but take seconds to open.
  `flush_packets` brings each group of pictures to disk when it ends; else ffmpeg 9 holds back
  256 KiB, which is many seconds of a small picture.
- `onfail=ignore` keeps the live view going where the archive's disk is full; the recorder notices.
- `append_list` goes on with the live playlist of the run before, so that open players recover.
- Audio is left out: a camera that announces audio and never sends it would block the whole process.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, assert_never
from urllib.parse import urlsplit

from backend.media.archive import ARCHIVE_PATTERN
from backend.media.ffmpeg import Ffmpeg

RECORD_ENV: Final = {"TZ": "UTC"}
"""What the record command needs in its environment: names and cuts of archives are UTC."""

# What an input may open, be it through a redirect or a playlist.
RTSP_PROTOCOLS: Final = "rtsp,rtsps,rtp,tcp,tls,crypto"
HTTP_PROTOCOLS: Final = "http,https,tcp,tls,httpproxy,crypto,data"

PLAYLIST_NAME: Final = "index.m3u8"
SOCKET_TIMEOUT_US: Final = 5_000_000
LIVE_SEGMENT_S: Final = 1.0
RTSPS_OPTIONS_SINCE: Final = (9,)


class SourceKind(StrEnum):
    """How a source has to be read."""

    RTSP = "rtsp"  # rtsp, rtsps: over TCP
    HTTP = "http"  # an endless stream (MJPEG, MPEG-TS, FLV, ...)
    HLS = "hls"  # somebody's playlist: arrives in bursts, read at its own pace
    HTTP_FILE = "http_file"  # a finite file: read at its own pace, again and again
    FILE = "file"  # the same on disk


@dataclass(frozen=True, slots=True)
class RecordPlan:
    """Everything that decides how a camera is recorded.

    Attributes:
        source: URL with credentials, or the absolute path of a file.
        copy: the video goes into the browser as it is; else it is encoded to H.264.
        b_frames: pictures are sent in another order than shown.
        live_dir: where `index.m3u8` and its segments are written.
        archive_dir: where `archive_*.mp4` are written; None for a live view only.
        segment_s: length of an archive; a divisor of a day keeps the cuts at the same times.
        keyframe_interval_s: distance of keyframes as probed, None when unknown.
        verify_tls: whether the certificate of an rtsps or https source must be trusted. With an
            ffmpeg before 9, that of rtsps never is looked at.
    """

    source: str
    kind: SourceKind
    live_dir: Path
    archive_dir: Path | None
    copy: bool = True
    b_frames: bool = False
    segment_s: int = 600
    keyframe_interval_s: float | None = None
    verify_tls: bool = True

    @property
    def live_is_fmp4(self) -> bool:
        """Whether live segments are `.m4s` with an init file; the TS muxer refuses B-frames."""
        return self.copy and self.b_frames

    @property
    def uses_wallclock(self) -> bool:
        """Whether pictures get the time of their arrival."""
        return self.kind in {SourceKind.RTSP, SourceKind.HTTP} and not self.b_frames


def source_kind(source: str, *, duration_s: float | None, container: str = "") -> SourceKind:
    """How to read a source: by its scheme and what the probe found.

    Args:
        source: URL or path.
        duration_s: as probed; None for an endless stream.
        container: ffmpeg's name of the format, as probed.
    """
    scheme = urlsplit(source).scheme.lower()
    if scheme in {"rtsp", "rtsps"}:
        return SourceKind.RTSP
    if scheme in {"http", "https"}:
        if duration_s is not None:
            return SourceKind.HTTP_FILE
        return SourceKind.HLS if "hls" in container.split(",") else SourceKind.HTTP
    return SourceKind.FILE


def record_command(
    ffmpeg: Ffmpeg, plan: RecordPlan, *, segment_list_fd: int, first_live_number: int = 0
) -> list[str]:
    """The argv that writes live HLS and, where planned, the archive of one source until stopped.

    Run it in `plan.live_dir` (live names are relative) with `RECORD_ENV`. Progress blocks come on
    stdout each second; each finished archive is a CSV line `name,start_s,end_s` on the pipe
    `segment_list_fd`. `first_live_number` names the first live segment where no playlist is there
    to go on with; where one is, a greater number than its own would make its segments jump.
    """
    outputs = [_live(plan, first_live_number)]
    if plan.archive_dir is not None:
        outputs.append(_archive(ffmpeg, plan, plan.archive_dir, segment_list_fd))
    return [
        str(ffmpeg.path),
        *("-hide_banner", "-nostdin", "-loglevel", "level+warning", "-nostats"),
        *("-progress", "pipe:1", "-stats_period", "1"),
        *_input(ffmpeg, plan),
        *("-map", "0:V:0", "-an", "-sn", "-dn"),
        *(("-c", "copy") if plan.copy else _ENCODE),
        *("-f", "tee", "|".join(outputs)),
    ]


_ENCODE: Final = (
    *("-vf", "scale=trunc(iw/2)*2:trunc(ih/2)*2:out_range=tv,format=yuv420p"),
    *("-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-crf", "23"),
    *("-threads", "4", "-sc_threshold", "0", "-g", "600"),
    *("-force_key_frames", f"expr:gte(t,n_forced*{LIVE_SEGMENT_S:g})"),
    *("-fps_mode", "vfr", "-enc_time_base", "1:90000"),
)


def _input(ffmpeg: Ffmpeg, plan: RecordPlan) -> list[str]:
    options = ["-fflags", "+genpts+discardcorrupt"]
    if plan.uses_wallclock:
        options += ["-use_wallclock_as_timestamps", "1"]
    if plan.kind is not SourceKind.FILE:
        options += ["-analyzeduration", "1000000", "-probesize", "1000000"]
    scheme = urlsplit(plan.source).scheme.lower()
    if scheme == "https" or (scheme == "rtsps" and ffmpeg.version >= RTSPS_OPTIONS_SINCE):
        options += ["-tls_verify", "1" if plan.verify_tls else "0"]
    http = ["-protocol_whitelist", HTTP_PROTOCOLS]
    http += ["-rw_timeout", str(SOCKET_TIMEOUT_US)]
    match plan.kind:
        case SourceKind.RTSP:
            options += ["-protocol_whitelist", RTSP_PROTOCOLS]
            options += ["-rtsp_transport", "tcp", "-timeout", str(SOCKET_TIMEOUT_US)]
        case SourceKind.HTTP:
            options += http
        case SourceKind.HLS:
            options += [*http, "-re"]
        case SourceKind.HTTP_FILE:
            options += [*http, "-re", "-stream_loop", "-1"]
        case SourceKind.FILE:
            options += ["-protocol_whitelist", "file", "-re", "-stream_loop", "-1"]
            return [*options, "-i", f"file:{plan.source.removeprefix('file://')}"]
        case _:
            assert_never(plan.kind)
    return [*options, "-i", plan.source]


def _live(plan: RecordPlan, first_number: int) -> str:
    flags = "delete_segments+program_date_time+independent_segments+temp_file+omit_endlist"
    options = {
        "f": "hls",
        "select": "v",
        "hls_time": f"{live_segment_time_s(plan):g}",
        "hls_list_size": "10",
        "hls_delete_threshold": "5",
        "hls_flags": f"{flags}+append_list+discont_start",
        "start_number": str(first_number),
        "hls_segment_filename": "%d.m4s" if plan.live_is_fmp4 else "%d.ts",
    }
    if plan.live_is_fmp4:
        options |= {"hls_segment_type": "fmp4", "hls_fmp4_init_filename": "init.mp4"}
    return _slave(options, PLAYLIST_NAME)


def _archive(ffmpeg: Ffmpeg, plan: RecordPlan, archive_dir: Path, segment_list_fd: int) -> str:
    safe = "+hybrid_fragmented" if ffmpeg.has_hybrid_fragmented else "+empty_moov+default_base_moof"
    options = {
        "f": "segment",
        "onfail": "ignore",
        "select": "v",
        "segment_time": str(plan.segment_s),
        "segment_atclocktime": "1",
        "strftime": "1",
        "reset_timestamps": "1",
        "segment_format": "mp4",
        "segment_format_options": f"movflags={safe}+frag_keyframe:flush_packets=1",
        "segment_list": f"pipe:{segment_list_fd}",
        "segment_list_type": "csv",
    }
    folder = str(archive_dir).replace("%", "%%")  # its own name is no pattern
    return _slave(options, f"{folder}/{ARCHIVE_PATTERN}")


def live_segment_time_s(plan: RecordPlan) -> float:
    """`hls_time`: a little under the distance of the keyframes where segments of 1 s should end.

    A limit equal to that distance would let jitter decide whether a segment is one or two long.
    """
    interval_s = plan.keyframe_interval_s if plan.copy else LIVE_SEGMENT_S
    if interval_s is None or interval_s <= 0:
        return 0.9 * LIVE_SEGMENT_S
    whole_s = interval_s * max(1, round(LIVE_SEGMENT_S / interval_s))
    return round(whole_s - min(0.1 * whole_s, interval_s / 2), 3)


def _slave(options: dict[str, str], target: str) -> str:
    """One output of tee. Options are unescaped twice by ffmpeg, the target once."""
    inner = ":".join(f"{name}={_escape(value, ':]')}" for name, value in options.items())
    return _escape(f"[{inner}]{target}", "|")


def _escape(text: str, separators: str) -> str:
    return "".join(f"\\{char}" if char in "\\'" + separators else char for char in text)
