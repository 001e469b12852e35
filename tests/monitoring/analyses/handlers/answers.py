"""What models answer in these tests, by what they are asked about."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.peers.model_server import Received, Reply

Answer = Reply | Mapping[str, Any]


def said(
    *incidents: Mapping[str, Any], summary: str = "A person walks.", score: int = 90
) -> dict[str, Any]:
    """What a model answers about a window; each incident is shown by an observation of its own."""
    return {
        "visibility": "clear",
        "observations": [
            {"id": number, "t": one["t_start"], "text": f"seen at {one['t_start']}"}
            for number, one in enumerate(incidents, start=1)
        ],
        "incidents": [
            {"observations": [number], **one} for number, one in enumerate(incidents, start=1)
        ],
        "summary": summary,
        "safety_score": score,
    }


def incident(category: str = "fall", *, t: float = 1.0, **values: Any) -> dict[str, Any]:
    """An incident in a model's answer, a second long."""
    times = {"t_start": t, "t_end": t + 1}
    about = {"evidence": "it is lying", "category": category, "severity": 3, "confidence": 0.8}
    return {**times, **about, **values}


def merged(
    *incidents: Mapping[str, Any], summary: str = "All of it.", score: int = 80
) -> dict[str, Any]:
    """What a model answers about all windows."""
    return {"incidents": list(incidents), "summary": summary, "safety_score": score}


def json_of(answer: Mapping[str, Any]) -> str:
    """The text of an answer."""
    return json.dumps(answer)


def asked_about(received: Received) -> int | str:
    """The number of the window (from 0) that a request is about, or "merge"."""
    window = re.match(r"Window (\d+) of \d+", received.text)
    return int(window[1]) - 1 if window else "merge"


def questions(requests: Sequence[Received]) -> list[int | str]:
    """What was asked, in turn."""
    return [asked_about(received) for received in requests]


def by_window(**answers: Answer) -> Callable[[Received], Answer]:
    """Answers by what is asked about: `w0`, `w1`, `merge`; else that a person walks."""

    def answer(received: Received) -> Answer:
        about = asked_about(received)
        name = f"w{about}" if isinstance(about, int) else about
        return answers.get(name) or (merged() if about == "merge" else said())

    return answer
