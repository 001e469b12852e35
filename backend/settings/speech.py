"""The speech API."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from backend.settings.group import Group


class SpeechApiSettings(Group):
    """The speech API: what it takes, and who listens."""

    transcriber: Literal["pocketsphinx", "whisper"] = Field(
        "pocketsphinx",
        alias="SPEECH_TRANSCRIBER",
        description="Who transcribes: pocketsphinx (embedded, English, low accuracy) or whisper"
        " (faster-whisper, the model WHISPER_MODEL).",
    )
    whisper_model: str | None = Field(
        None,
        alias="WHISPER_MODEL",
        description="faster-whisper model: a name such as large-v3-turbo, or a local folder"
        " (default: small).",
    )
    diarizer: Literal["embedded", "pyannote"] = Field(
        "embedded",
        alias="SPEECH_DIARIZER",
        description="Who tells speakers apart: embedded, or pyannote where it is installed and"
        " licensed.",
    )
    language: str | None = Field(
        None,
        alias="SPEECH_LANGUAGE",
        pattern=r"^[a-z]{2,3}$",
        description="Language that is spoken, as ISO 639 (default: found out where the model can).",
    )
    device: str = Field(
        "auto", alias="SPEECH_DEVICE", description="auto, cpu, or a CUDA device such as cuda:0."
    )
    threads: int = Field(
        1, alias="SPEECH_THREADS", ge=1, le=64, description="CPU threads of one analysis."
    )
    at_once: int = Field(
        10,
        alias="SPEECH_AT_ONCE",
        ge=1,
        le=100,
        description="Videos that are processed at the same time, by all workers together.",
    )
    downloads_at_once: int = Field(
        4,
        alias="SPEECH_DOWNLOADS_AT_ONCE",
        ge=1,
        le=32,
        description="Videos that one worker downloads at the same time.",
    )
    timeout_s: float = Field(
        1800,
        alias="SPEECH_TIMEOUT_SECONDS",
        gt=0,
        description="Seconds that processing one video may take, waiting in line aside.",
    )
    longest_s: float = Field(
        3600, alias="SPEECH_LONGEST_SECONDS", gt=0, description="Longest video, seconds."
    )
    most_bytes: int = Field(
        2 * 1024**3, alias="SPEECH_MOST_BYTES", gt=0, description="Largest video, bytes."
    )
    requests_per_minute: int = Field(
        120,
        alias="SPEECH_REQUESTS_PER_MINUTE",
        ge=1,
        description="Requests a minute that one client may make.",
    )
