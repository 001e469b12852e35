"""A result as the files that people take away: JSON, SRT, VTT, plain text. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any


class TranscriptFormat(StrEnum):
    """What a transcript can be had as; also the ending of its file."""

    JSON = "json"
    SRT = "srt"
    VTT = "vtt"
    TXT = "txt"


MEDIA_TYPES: Mapping[TranscriptFormat, str] = {
    TranscriptFormat.JSON: "application/json",
    TranscriptFormat.SRT: "application/x-subrip",
    TranscriptFormat.VTT: "text/vtt",
    TranscriptFormat.TXT: "text/plain",
}


def transcript(result: Mapping[str, Any], form: TranscriptFormat) -> str:
    """The contract's result in another form."""
    return _WRITERS[form](result)


def _json(result: Mapping[str, Any]) -> str:
    return json.dumps(result, ensure_ascii=False, indent=2) + "\n"


def _srt(result: Mapping[str, Any]) -> str:
    cues = [
        f"{number}\n{_clock(one['start_time'], ',')} --> {_clock(one['end_time'], ',')}\n"
        f"{_line(one)}\n"
        for number, one in enumerate(result["segments"], start=1)
    ]
    return "\n".join(cues)


def _vtt(result: Mapping[str, Any]) -> str:
    cues = [
        f"{_clock(one['start_time'], '.')} --> {_clock(one['end_time'], '.')}\n"
        f"<v {one['speaker']['speaker_id']}>{_escaped(one['text'])}\n"
        for one in result["segments"]
    ]
    return "\n".join(["WEBVTT\n", *cues])


def _txt(result: Mapping[str, Any]) -> str:
    return "".join(
        f"[{_clock(one['start_time'], '.')}] {_line(one)}\n" for one in result["segments"]
    )


_WRITERS: Mapping[TranscriptFormat, Callable[[Mapping[str, Any]], str]] = {
    TranscriptFormat.JSON: _json,
    TranscriptFormat.SRT: _srt,
    TranscriptFormat.VTT: _vtt,
    TranscriptFormat.TXT: _txt,
}


def _line(segment: Mapping[str, Any]) -> str:
    return f"{segment['speaker']['speaker_id']}: {_plain(segment['text'])}"


def _plain(text: str) -> str:
    """On one line: an empty line would end a cue."""
    return " ".join(text.split())


def _escaped(text: str) -> str:
    return _plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(seconds: float, mark: str) -> str:
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    minutes, second = divmod(whole, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02d}:{minute:02d}:{second:02d}{mark}{thousandths:03d}"
