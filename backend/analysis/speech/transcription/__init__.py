"""What is said: the transcribers by the name that settings use.

    pieces     speech cut and joined to what a transcriber takes at a time
    sphinx     embedded, English, low accuracy, nothing to fetch
    whisper    faster-whisper with any of its models

Nothing is loaded before a transcriber is made.
"""

from __future__ import annotations

from collections.abc import Callable

from backend.analysis.speech.protocol import SpeechSettings, Transcriber


def _pocketsphinx(settings: SpeechSettings) -> Transcriber:  # noqa: ARG001  it has nothing to set
    from backend.analysis.speech.transcription.sphinx import SphinxTranscriber

    return SphinxTranscriber()


def _whisper(settings: SpeechSettings) -> Transcriber:
    from backend.analysis.speech.transcription.whisper import WhisperTranscriber

    return WhisperTranscriber(settings)


TRANSCRIBERS: dict[str, Callable[[SpeechSettings], Transcriber]] = {
    "pocketsphinx": _pocketsphinx,
    "whisper": _whisper,
}
"""What a request may ask for; making one raises `AnalysisError` where it cannot work here."""
