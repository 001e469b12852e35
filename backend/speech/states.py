"""A speech job as its caller sees it: the contract's states, and its codes for our own ones."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from backend.kernel.state_machine import StateMachine

SPEECH_JOB = "speech"


class SpeechStatus(StrEnum):
    """The stored value, and what goes over the wire."""

    ACCEPTED = "accepted"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


_S = SpeechStatus

RESULT = StateMachine(
    name="speech result",
    initial=_S.ACCEPTED,
    moves={
        _S.ACCEPTED: frozenset({_S.PROCESSING, _S.COMPLETED, _S.FAILED}),
        _S.PROCESSING: frozenset({_S.PROCESSING, _S.COMPLETED, _S.FAILED}),
        _S.COMPLETED: frozenset(),
        _S.FAILED: frozenset(),
    },
)
"""The receiving side: what is terminal stays, whatever arrives late."""


class ErrorCode(StrEnum):
    """Why a job failed; the contract's five."""

    DOWNLOAD_ERROR = "DOWNLOAD_ERROR"
    AUDIO_EXTRACTION_ERROR = "AUDIO_EXTRACTION_ERROR"
    TRANSCRIPTION_ERROR = "TRANSCRIPTION_ERROR"
    PROCESSING_TIMEOUT = "PROCESSING_TIMEOUT"
    INSUFFICIENT_RESOURCES = "INSUFFICIENT_RESOURCES"


_TOLD: Mapping[str, ErrorCode] = {
    "download_error": ErrorCode.DOWNLOAD_ERROR,
    "video_missing": ErrorCode.DOWNLOAD_ERROR,
    "no_audio": ErrorCode.AUDIO_EXTRACTION_ERROR,
    "encrypted": ErrorCode.AUDIO_EXTRACTION_ERROR,
    "unreadable": ErrorCode.AUDIO_EXTRACTION_ERROR,
    "too_long": ErrorCode.AUDIO_EXTRACTION_ERROR,
    "audio_extraction_failed": ErrorCode.AUDIO_EXTRACTION_ERROR,
    "timeout": ErrorCode.PROCESSING_TIMEOUT,
    "insufficient_resources": ErrorCode.INSUFFICIENT_RESOURCES,
    "disk_full": ErrorCode.INSUFFICIENT_RESOURCES,
    "storage_failed": ErrorCode.INSUFFICIENT_RESOURCES,
    "out_of_memory": ErrorCode.INSUFFICIENT_RESOURCES,
    "device_missing": ErrorCode.INSUFFICIENT_RESOURCES,
    "worker_lost": ErrorCode.INSUFFICIENT_RESOURCES,
    "callback_too_large": ErrorCode.INSUFFICIENT_RESOURCES,
    "statement_too_large": ErrorCode.INSUFFICIENT_RESOURCES,
}
"""Our own codes that mean one thing, wherever a job was; others are told by its stage."""


def error_code(kind: str, code: str, progress: int) -> str:
    """What a receiver of callbacks is told of a failure: of speech jobs one of the five."""
    if kind != SPEECH_JOB:
        return code
    if code in _TOLD:
        return _TOLD[code]
    if progress < 10:
        return ErrorCode.DOWNLOAD_ERROR
    if progress < 25:
        return ErrorCode.AUDIO_EXTRACTION_ERROR
    return ErrorCode.TRANSCRIPTION_ERROR
