"""Any server with OpenAI's chat completions: OpenAI itself, vLLM, Ollama, llama.cpp.

Made by the composition root when this protocol is configured, which is also what imports it: the
SDK takes a while to load. A window is shown as pictures; a key is sent only if there is one.
Guarantees: one `ask` is at most one request.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from openai import AsyncOpenAI, Omit, omit
from openai.types.chat import (
    ChatCompletion,
    ChatCompletionContentPartParam,
    ChatCompletionMessageParam,
)
from openai.types.chat.completion_create_params import ResponseFormat

from backend.analysis.scene.vlm.model import Answer, Question, UnusableAnswer, Usage
from backend.analysis.scene.vlm.price import Price, cost_microusd
from backend.analysis.scene.vlm.transport import NO_KEY, ModelClient, check_url, host_of, usable_key
from backend.kernel.clock import SystemClock

TEMPERATURE = 0.2
_OPENAI = "api.openai.com"


class OpenAICompatibleModel:
    """A model behind chat completions; `base_url` ends before `/chat`, mostly in `/v1`."""

    backend = "openai"
    takes_video = False

    def __init__(
        self,
        *,
        api_key: str | None,
        model: str,
        base_url: str,
        timeout_s: float,
        price: Price,
    ) -> None:
        self.name = model
        self._api_key, self._base_url = api_key, base_url
        self._timeout_s, self._price = timeout_s, price
        self._http: ModelClient | None = None
        self._sdk: AsyncOpenAI | None = None
        self._clock = SystemClock()
        # OpenAI's reasoning models take neither max_tokens nor a temperature; Ollama and older
        # local servers pass over max_completion_tokens in silence (ollama#7125).
        self._is_openais = host_of(base_url) == _OPENAI

    async def ask(self, question: Question) -> Answer:
        """Ask once; see `VisionModel.ask`. A clip cannot be shown: give pictures."""
        sdk = self._connected()
        since_s = self._clock.monotonic()
        limit: int | Omit = question.max_output_tokens
        completion = await sdk.chat.completions.create(
            model=self.name,
            messages=_messages(question),
            response_format=_response_format(question),
            temperature=omit if self._is_openais else TEMPERATURE,
            max_tokens=omit if self._is_openais else limit,
            max_completion_tokens=limit if self._is_openais else omit,
        )
        usage = self._usage(completion, since_s)
        return Answer(_text(completion, usage), usage, completion.model or self.name)

    async def aclose(self) -> None:
        """Close its connections."""
        if self._http is not None:
            await self._http.aclose()

    def _connected(self) -> AsyncOpenAI:
        if self._sdk is None:
            key = usable_key(self._api_key)
            check_url(self._base_url)
            self._http = ModelClient(
                model=self.name, key=key, timeout_s=self._timeout_s, speaks=_is_answer
            )
            self._sdk = AsyncOpenAI(
                # Without one the SDK would take any from the environment, to any address.
                api_key=key or NO_KEY,
                base_url=self._base_url,
                max_retries=0,
                timeout=self._timeout_s,
                http_client=self._http,
            )
        return self._sdk

    def _usage(self, completion: ChatCompletion, since_s: float) -> Usage:
        counts = completion.usage
        input_tokens = (counts.prompt_tokens or 0) if counts else 0
        output_tokens = (counts.completion_tokens or 0) if counts else 0
        return Usage(
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            calls=1,
            latency_ms=round((self._clock.monotonic() - since_s) * 1000),
            cost_microusd=cost_microusd(self._price, input_tokens, output_tokens),
        )


def _messages(question: Question) -> list[ChatCompletionMessageParam]:
    """What is shown, in order of time, and then what is asked about it."""
    parts: list[ChatCompletionContentPartParam] = []
    for picture in question.pictures:
        url = f"data:image/jpeg;base64,{b64encode(picture.jpeg).decode()}"
        parts.append({"type": "text", "text": f"t={picture.t:.1f} s"})
        parts.append({"type": "image_url", "image_url": {"url": url}})
    parts.append({"type": "text", "text": question.text})
    return [
        {"role": "system", "content": question.instructions},
        {"role": "user", "content": parts},
    ]


def _response_format(question: Question) -> ResponseFormat:
    return {
        "type": "json_schema",
        "json_schema": {
            "name": question.schema_name,
            "strict": True,
            "schema": dict(question.schema),
        },
    }


def _is_answer(answer: Mapping[str, Any]) -> bool:
    """Checked here, since the SDK takes whatever comes for the types that it should have."""
    choices, usage = answer.get("choices"), answer.get("usage")
    return (
        isinstance(choices, list)
        and all(isinstance(choice, dict) and _is_choice(choice) for choice in choices)
        and (usage is None or (isinstance(usage, dict) and _are_counts(usage)))
    )


def _is_choice(choice: Mapping[str, Any]) -> bool:
    message = choice.get("message")
    return isinstance(message, dict) and isinstance(message.get("content"), str | None)


def _are_counts(usage: Mapping[str, Any]) -> bool:
    names = ("prompt_tokens", "completion_tokens")
    return all(isinstance(usage.get(name), int | None) for name in names)


def _text(completion: ChatCompletion, usage: Usage) -> str:
    if not completion.choices:
        raise UnusableAnswer("empty", "The model answered nothing", usage=usage)
    choice = completion.choices[0]
    if choice.message.refusal or choice.finish_reason == "content_filter":
        raise UnusableAnswer("blocked", "The model refused to answer", usage=usage)
    if choice.finish_reason == "length":
        raise UnusableAnswer("truncated", "The model's answer was cut at its limit", usage=usage)
    if not (choice.message.content or "").strip():
        raise UnusableAnswer("empty", "The model answered nothing", usage=usage)
    return choice.message.content or ""
