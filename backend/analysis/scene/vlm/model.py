"""What a vision-language model is to VAP: a question with pictures in, JSON text and usage out.

The two protocols (`gemini`, `openai_compatible`) implement `VisionModel`; so does whatever stands
in front of one and says no first (a budget, a breaker). Every refusal is one of the errors below,
so that who asks need not know whom.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from backend.kernel.errors import VapError


@dataclass(frozen=True, slots=True)
class Clip:
    """A stretch of video as one mp4 file; `seconds` long, `fps` pictures a second."""

    mp4: bytes
    seconds: float
    fps: float


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG picture; `t` is its time in seconds from the start of the window."""

    jpeg: bytes
    t: float


@dataclass(frozen=True, slots=True)
class Question:
    """One call. `schema` is plain JSON Schema; properties are to be answered in its order."""

    instructions: str
    text: str
    schema_name: str
    schema: Mapping[str, Any]
    clip: Clip | None = None
    pictures: tuple[Picture, ...] = ()
    max_output_tokens: int = 4096


@dataclass(frozen=True, slots=True)
class Usage:
    """What calls took. Sums of several calls add up, see `plus`."""

    input_tokens: int = 0
    output_tokens: int = 0
    """Thinking counts as output: that is how it is charged."""
    calls: int = 0
    latency_ms: int = 0
    cost_microusd: int = 0

    def plus(self, other: Usage) -> Usage:
        """The sum of both."""
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.calls + other.calls,
            self.latency_ms + other.latency_ms,
            self.cost_microusd + other.cost_microusd,
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said: `text` should be JSON after the question's schema, but check it."""

    text: str
    usage: Usage
    model: str
    """The version that answered, as the server names it; else the model's name."""


class VisionModel(Protocol):
    """A model behind one protocol. Safe for several questions at once."""

    @property
    def backend(self) -> str:
        """Name of the protocol: gemini or openai."""

    @property
    def name(self) -> str:
        """The model's name as configured."""

    @property
    def takes_video(self) -> bool:
        """Whether it can be shown a `Clip`; else pictures."""

    async def ask(self, question: Question) -> Answer:
        """Ask once; no retry is made in here. A cancelled task closes the connection.

        Raises:
            ModelBusy, ModelMisconfigured, ModelRefused, UnusableAnswer: see each.
        """

    async def aclose(self) -> None:
        """Close its connections."""


class ModelError(VapError):
    """A model did not answer. `usage` is what the attempt cost all the same."""

    def __init__(self, code: str, message: str, *, usage: Usage | None = None) -> None:
        super().__init__(message, code=code)
        self.usage = usage or Usage()


class ModelBusy(ModelError):
    """Later may work: too many requests, an error of the server, a time-out, a broken connection.

    `retry_after_s` is the server's own hint, None when it gave none. Codes: `rate_limited`,
    `server_error`, `timeout`, `connection_lost`, `unreachable`, `breaker_open`.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retry_after_s: float | None = None,
        usage: Usage | None = None,
    ) -> None:
        super().__init__(code, message, usage=usage)
        self.retry_after_s = retry_after_s


class ModelMisconfigured(ModelError):
    """No question can work until somebody changes a setting.

    Codes: `key_missing`, `key_refused`, `model_unknown`, `endpoint_wrong` (what answers there does
    not speak the protocol).
    """


class ModelRefused(ModelError):
    """The server will not take this very question (any other 4xx): asking again will not help.

    Codes: `request_refused`, `request_too_large`.
    """


class BudgetSpent(ModelError):
    """The day's budget does not allow the call; nothing was asked. Code: `budget_spent`."""


class UnusableAnswer(ModelError):
    """An answer came, but not one to go by; asking again may help.

    Codes: `empty`, `blocked`, `truncated`, `malformed`, `too_large`.
    """
