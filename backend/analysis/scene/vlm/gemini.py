"""Gemini, by Google's own SDK; anything else that speaks its `generateContent` works as well.

Made by the composition root when this protocol is configured, which is also what imports it: the
SDK takes a while to load. A window is shown as one mp4 part (cheaper per frame than pictures, see
`takes_video`) or as JPEG parts. Guarantees: one `ask` is at most one request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google import genai
from google.genai import types
from pydantic import ValidationError

from backend.analysis.scene.vlm import faults
from backend.analysis.scene.vlm.model import (
    Answer,
    ModelMisconfigured,
    Question,
    UnusableAnswer,
    Usage,
)
from backend.analysis.scene.vlm.price import Price, cost_microusd
from backend.analysis.scene.vlm.transport import NO_KEY, ModelClient, check_url, host_of, usable_key
from backend.kernel.clock import SystemClock

API_VERSION = "v1beta"
"""Named, so that the environment does not choose: previews and `-latest` names exist only there."""
TEMPERATURE = 0.2
MAX_FPS = 24.0
"""The most that the service samples a video at."""
_GOOGLE = ".googleapis.com"
_BLOCKED = frozenset(
    {
        types.FinishReason.SAFETY,
        types.FinishReason.RECITATION,
        types.FinishReason.PROHIBITED_CONTENT,
        types.FinishReason.BLOCKLIST,
        types.FinishReason.SPII,
        types.FinishReason.LANGUAGE,
        types.FinishReason.MODEL_ARMOR,
        types.FinishReason.IMAGE_SAFETY,
        types.FinishReason.IMAGE_PROHIBITED_CONTENT,
        types.FinishReason.IMAGE_RECITATION,
    }
)


class GeminiModel:
    """A Gemini model. `base_url` None is Google's service, which needs a key."""

    backend = "gemini"
    takes_video = True

    def __init__(
        self,
        *,
        api_key: str | None,
        model: str,
        base_url: str | None,
        timeout_s: float,
        price: Price,
    ) -> None:
        self.name = model
        self._api_key, self._base_url = api_key, base_url
        self._timeout_s, self._price = timeout_s, price
        self._http: ModelClient | None = None
        self._sdk: genai.Client | None = None
        self._clock = SystemClock()

    async def ask(self, question: Question) -> Answer:
        """Ask once; see `VisionModel.ask`."""
        sdk = self._connected()
        since_s = self._clock.monotonic()
        try:
            response = await sdk.aio.models.generate_content(
                model=self.name, contents=_content(question), config=_config(question)
            )
        except ValidationError as error:
            fault = faults.not_the_protocol()
            fault.usage = self._usage(types.GenerateContentResponse(), since_s)
            raise fault from error
        usage = self._usage(response, since_s)
        return Answer(_text(response, usage), usage, response.model_version or self.name)

    async def aclose(self) -> None:
        """Close its connections."""
        if self._sdk is not None:
            self._sdk.close()
        if self._http is not None:
            await self._http.aclose()

    def _connected(self) -> genai.Client:
        if self._sdk is not None:
            return self._sdk
        key = usable_key(self._api_key)
        if key is None and _is_googles(self._base_url):
            raise ModelMisconfigured("key_missing", "Gemini needs an API key, and none is set")
        if self._base_url is not None:
            check_url(self._base_url)
        self._http = ModelClient(
            model=self.name, key=key, timeout_s=self._timeout_s, speaks=_is_answer
        )
        self._sdk = genai.Client(
            vertexai=False,
            # Without one the SDK would take any from the environment, to any address.
            api_key=key or NO_KEY,
            http_options=types.HttpOptions(
                base_url=self._base_url,
                api_version=API_VERSION,
                httpx_async_client=self._http,
                retry_options=types.HttpRetryOptions(attempts=1),
            ),
        )
        return self._sdk

    def _usage(self, response: types.GenerateContentResponse, since_s: float) -> Usage:
        counts = response.usage_metadata or types.GenerateContentResponseUsageMetadata()
        input_tokens = counts.prompt_token_count or 0
        output_tokens = (counts.candidates_token_count or 0) + (counts.thoughts_token_count or 0)
        return Usage(
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            calls=1,
            latency_ms=round((self._clock.monotonic() - since_s) * 1000),
            cost_microusd=cost_microusd(self._price, input_tokens, output_tokens),
        )


def _is_googles(base_url: str | None) -> bool:
    return base_url is None or host_of(base_url).endswith(_GOOGLE)


def _content(question: Question) -> types.Content:
    """What is shown, in order of time, and then what is asked about it."""
    parts = []
    if question.clip is not None:
        clip = types.Blob(data=question.clip.mp4, mime_type="video/mp4")
        sampling = types.VideoMetadata(fps=min(question.clip.fps, MAX_FPS))
        parts.append(types.Part(inline_data=clip, video_metadata=sampling))
    for picture in question.pictures:
        parts.append(types.Part(text=f"t={picture.t:.1f} s"))
        jpeg = types.Blob(data=picture.jpeg, mime_type="image/jpeg")
        parts.append(types.Part(inline_data=jpeg))
    return types.Content(role="user", parts=[*parts, types.Part(text=question.text)])


def _config(question: Question) -> types.GenerateContentConfig:
    return types.GenerateContentConfig(
        system_instruction=question.instructions,
        temperature=TEMPERATURE,
        max_output_tokens=question.max_output_tokens,
        response_mime_type="application/json",
        response_json_schema=dict(question.schema),
        # Both would turn one question into several requests.
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        automatic_continuation=False,
    )


def _is_answer(answer: Mapping[str, Any]) -> bool:
    """Whether the SDK can read it; what is wrong deeper down fails its own validation."""
    candidates = answer.get("candidates")
    if candidates is None:
        return "promptFeedback" in answer or "usageMetadata" in answer
    return isinstance(candidates, list) and all(isinstance(one, dict) for one in candidates)


def _text(response: types.GenerateContentResponse, usage: Usage) -> str:
    feedback = response.prompt_feedback
    if feedback is not None and feedback.block_reason is not None:
        raise UnusableAnswer(
            "blocked",
            f"The model's filter refused the question ({feedback.block_reason.value})",
            usage=usage,
        )
    if not response.candidates:
        raise UnusableAnswer("empty", "The model answered nothing", usage=usage)
    candidate = response.candidates[0]
    reason = candidate.finish_reason
    if reason is types.FinishReason.MAX_TOKENS:
        raise UnusableAnswer("truncated", "The model's answer was cut at its limit", usage=usage)
    if reason in _BLOCKED:
        raise UnusableAnswer(
            "blocked", f"The model's filter held its answer back ({reason.value})", usage=usage
        )
    parts = (candidate.content.parts if candidate.content else None) or []
    text = "".join(part.text for part in parts if part.text and not part.thought)
    if not text.strip():
        why = f" ({reason.value})" if reason not in (None, types.FinishReason.STOP) else ""
        raise UnusableAnswer("empty", f"The model answered nothing{why}", usage=usage)
    return text
