"""The `result` of a `completed` callback, as the speech API of the ECG backend asks for it.

Added to its required fields: the language, what did the work, remarks, and confidences; an
emotion only where a backend told one. Numbers are rounded; that they are in order and in range
is the work of `assembly` and `prosody`, and JSON carries none that is not finite.
"""

from __future__ import annotations

import re
from typing import Any

from backend.analysis.speech.protocol import Emotion, SpeechResult, Utterance, Word

_TIME_DIGITS, _DB_DIGITS, _HZ_DIGITS, _SHARE_DIGITS = 3, 2, 2, 4
_LONGEST_NAME = 255


def to_contract(result: SpeechResult, filename: str) -> dict[str, Any]:
    """`{metadata, segments}`; of the file name, folders are left out."""
    return {
        "metadata": {
            "filename": _plain_name(filename),
            "duration": round(result.duration_s, _TIME_DIGITS),
            "total_segments": len(result.utterances),
            "unique_speakers": len({one.speaker for one in result.utterances}),
            "language": result.language,
            "backends": dict(result.backends),
            "remarks": list(result.remarks),
        },
        "segments": [_segment(one) for one in result.utterances],
    }


def _segment(utterance: Utterance) -> dict[str, Any]:
    segment: dict[str, Any] = {
        "start_time": round(utterance.start, _TIME_DIGITS),
        "end_time": round(utterance.end, _TIME_DIGITS),
        "speaker": {"speaker_id": f"SPEAKER_{utterance.speaker:02d}"},
        "text": utterance.text,
        "confidence": round(utterance.confidence, _SHARE_DIGITS),
        "words": [_word(word) for word in utterance.words],
    }
    if utterance.emotion is not None:
        segment["emotion"] = _emotion(utterance.emotion)
    return segment


def _word(word: Word) -> dict[str, Any]:
    return {
        "word": word.text,
        "start": round(word.start, _TIME_DIGITS),
        "end": round(word.end, _TIME_DIGITS),
        "volume_db": round(word.volume_db, _DB_DIGITS) + 0.0,  # -0.0 becomes 0.0
        "pitch_hz": round(word.pitch_hz, _HZ_DIGITS),
        "confidence": round(word.confidence, _SHARE_DIGITS),
    }


def _emotion(emotion: Emotion) -> dict[str, Any]:
    score = round(emotion.score, _SHARE_DIGITS)
    return {"label": emotion.label, "score": score, "backend": emotion.backend}


def _plain_name(filename: str) -> str:
    last = re.split(r"[/\\]", filename)[-1]
    return "".join(letter for letter in last if letter.isprintable())[:_LONGEST_NAME]
