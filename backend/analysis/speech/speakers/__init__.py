"""Who speaks when: the diarizers by the name that settings use.

    embedding    what a voice sounds like      weights    the network's numbers
    clustering   how many voices there are     embedded   the diarizer made of these three
    pyannote     the one that needs pyannote.audio and its weights

Nothing is loaded before a diarizer is made.
"""

from __future__ import annotations

from collections.abc import Callable

from backend.analysis.speech.protocol import Diarizer, SpeechSettings


def _embedded(settings: SpeechSettings) -> Diarizer:  # noqa: ARG001  it has nothing to set
    from backend.analysis.speech.speakers.embedded import EmbeddedDiarizer

    return EmbeddedDiarizer()


def _pyannote(settings: SpeechSettings) -> Diarizer:
    from backend.analysis.speech.speakers.pyannote import PyannoteDiarizer

    return PyannoteDiarizer(settings)


DIARIZERS: dict[str, Callable[[SpeechSettings], Diarizer]] = {
    "embedded": _embedded,
    "pyannote": _pyannote,
}
"""What a request may ask for; making one raises `AnalysisError` where it cannot work here."""
