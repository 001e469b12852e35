"""Transcripts as files, to the letter."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from backend.speech.transcripts import TranscriptFormat, transcript
from tests.speech.desk import VIDEO, Desk


def _segment(start: float, end: float, who: str, text: str) -> dict[str, Any]:
    speaker = {"speaker_id": who}
    return {"start_time": start, "end_time": end, "speaker": speaker, "text": text, "words": []}


RESULT = {
    "metadata": {"filename": "회의.mp4", "duration": 36010.5},
    "segments": [
        _segment(0, 1.5, "SPEAKER_01", "안녕하세요, 여러분"),
        _segment(59.9996, 3661.25, "SPEAKER_02", "a <b>bold</b> word & more --> here"),
        _segment(36000, 36010.4994, "SPEAKER_01", " two\nlines,\n\n1\n00:00 --> \tgaps "),
    ],
}
SRT = """\
1
00:00:00,000 --> 00:00:01,500
SPEAKER_01: 안녕하세요, 여러분

2
00:01:00,000 --> 01:01:01,250
SPEAKER_02: a <b>bold</b> word & more --> here

3
10:00:00,000 --> 10:00:10,499
SPEAKER_01: two lines, 1 00:00 --> gaps
"""
VTT = """\
WEBVTT

00:00:00.000 --> 00:00:01.500
<v SPEAKER_01>안녕하세요, 여러분

00:01:00.000 --> 01:01:01.250
<v SPEAKER_02>a &lt;b&gt;bold&lt;/b&gt; word &amp; more --&gt; here

10:00:00.000 --> 10:00:10.499
<v SPEAKER_01>two lines, 1 00:00 --&gt; gaps
"""
TXT = """\
[00:00:00.000] SPEAKER_01: 안녕하세요, 여러분
[00:01:00.000] SPEAKER_02: a <b>bold</b> word & more --> here
[10:00:00.000] SPEAKER_01: two lines, 1 00:00 --> gaps
"""
FILES = {TranscriptFormat.SRT: SRT, TranscriptFormat.VTT: VTT, TranscriptFormat.TXT: TXT}


@pytest.mark.parametrize("form", FILES)
def test_a_transcript_is_written_to_the_letter(form: TranscriptFormat) -> None:
    assert transcript(RESULT, form) == FILES[form]


def test_json_is_the_result_itself_with_korean_left_as_it_is() -> None:
    text = transcript(RESULT, TranscriptFormat.JSON)
    assert json.loads(text) == RESULT
    assert "안녕하세요" in text


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (TranscriptFormat.SRT, ""),
        (TranscriptFormat.VTT, "WEBVTT\n"),
        (TranscriptFormat.TXT, ""),
    ],
)
def test_a_silent_video_has_an_empty_transcript(form: TranscriptFormat, expected: str) -> None:
    assert transcript({"segments": []}, form) == expected


@pytest.mark.parametrize(
    ("form", "media_type", "begin"),
    [
        ("srt", "application/x-subrip", "1\n00:00:00,000"),
        ("vtt", "text/vtt", "WEBVTT"),
        ("txt", "text/plain", "[00:00:00.000]"),
        ("json", "application/json", "{"),
    ],
)
async def test_a_transcript_comes_as_a_file_with_the_name_of_its_video(
    client: httpx.AsyncClient, small_desk: Desk, form: str, media_type: str, begin: str
) -> None:
    await small_desk.accept(url="https://bucket.s3.amazonaws.com/%ED%9A%8C%22%EC%9D%98.mp4")
    await small_desk.complete(RESULT)
    answer = await client.get(f"/api/v1/speech/jobs/test-123/transcript.{form}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(media_type)
    assert "utf-8" in answer.headers["content-type"]
    disposition = answer.headers["content-disposition"]
    assert disposition == f"attachment; filename*=UTF-8''%ED%9A%8C%22%EC%9D%98.{form}"
    assert answer.text.startswith(begin)


async def test_there_is_no_transcript_before_the_end_and_of_no_other_form(
    client: httpx.AsyncClient, small_desk: Desk
) -> None:
    await small_desk.accept(url=VIDEO)
    answer = await client.get("/api/v1/speech/jobs/test-123/transcript.srt")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "no_transcript")
    answer = await client.get("/api/v1/speech/jobs/test-123/transcript.exe")
    assert answer.status_code == 400
    answer = await client.get("/api/v1/speech/jobs/nobody/transcript.srt")
    assert answer.status_code == 404
