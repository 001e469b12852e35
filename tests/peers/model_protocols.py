"""The two protocols of vision-language models as their servers see them, for `model_server`.

Reads a request as strictly as the real services do, and writes answers and errors in their words.
Pure: bytes and JSON in, bytes and JSON out.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

Protocol = Literal["gemini", "openai"]
Finish = Literal["stop", "truncated", "blocked", "question_blocked", "refused"]
Fault = Literal["drop", "cut", "endless", "gzip_bomb", "html", "redirect", "other_json"]

_GEMINI_PATH = re.compile(r"/(?:v1beta|v1)/models/(?P<model>[^:]+):generateContent")
_GEMINI_FIELDS = {"contents", "systemInstruction", "generationConfig", "safetySettings"}
_GEMINI_CONFIG = {
    "temperature",
    "maxOutputTokens",
    "responseMimeType",
    "responseJsonSchema",
    "topP",
}
_OPENAI_FIELDS = {"model", "messages", "response_format", "temperature", "max_tokens"} | {
    "max_completion_tokens",
    "seed",
    "top_p",
}
_TIME = re.compile(r"t=(?P<t>\d+(?:\.\d+)?) s")
_GRPC = {400: "INVALID_ARGUMENT", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"} | {
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
_GOOGLE_RPC = "type.googleapis.com/google.rpc."


@dataclass(frozen=True)
class Reply:
    """What the server does with a request; by default it answers with `text`."""

    text: str = "{}"
    input_tokens: int | None = 100
    """None: the answer reports no usage at all."""
    output_tokens: int = 20
    thought_tokens: int = 0
    """Gemini counts them apart, OpenAI within the output."""
    finish: Finish = "stop"
    version: str | None = None
    """The model that says it answered; else the one that was asked."""
    status: int = 200
    message: str = "The server is told to fail."
    retry_after: str | None = None
    """The header, word for word."""
    retry_delay: str | None = None
    """Gemini's `google.rpc.RetryInfo`, such as 23s."""
    reason: str | None = None
    """The machine-readable one: Google's ErrorInfo, OpenAI's code."""
    fault: Fault | None = None
    held: bool = False
    """Not answered before `release`."""
    delay_s: float = 0


@dataclass
class Received:
    """A request as it came in. Times of pictures are those in the text before each."""

    protocol: Protocol
    model: str
    key: str | None
    body: dict[str, Any]
    headers: Mapping[str, str]
    instructions: str = ""
    text: str = ""
    schema: dict[str, Any] | None = None
    schema_name: str | None = None
    mp4: bytes | None = None
    fps: float | None = None
    pictures: list[tuple[float, bytes]] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    """The kinds of its parts: video, time, picture, text."""
    max_output_tokens: int | None = None
    last_t: float = math.nan
    """The time that the next picture has; NaN where none was said since the last one."""
    was_abandoned: bool = False
    """The client closed the connection before it was answered."""


class Refused(Exception):
    """The request is answered with an error."""

    def __init__(self, protocol: Protocol, reply: Reply) -> None:
        super().__init__(reply.message)
        self.protocol, self.reply = protocol, reply


def read_request(
    target: str, headers: Mapping[str, str], content: bytes, *, key: str | None, models: set[str]
) -> Received | None:
    """The request, checked like the real services do; None when the path is nothing's."""
    url = urlsplit(target)
    gemini = _GEMINI_PATH.fullmatch(unquote(url.path))
    if gemini is None and url.path != "/v1/chat/completions":
        return None
    protocol: Protocol = "gemini" if gemini else "openai"
    if gemini:
        sent = headers.get("x-goog-api-key") or parse_qs(url.query).get("key", [None])[0]
    else:
        sent = headers.get("authorization", "").removeprefix("Bearer ") or None
    check = _Check(protocol)
    if key is not None and sent != key:
        check.refuse_key(sent)
    try:
        body = json.loads(content)
    except ValueError:
        check.that(False, "Invalid JSON payload received.")
    model = gemini["model"] if gemini else str(body.get("model"))
    if models and model not in models:
        check.refuse_model(model)
    received = Received(protocol, model, sent, body, headers)
    (_read_gemini if gemini else _read_openai)(received, check)
    return received


@dataclass(frozen=True)
class _Check:
    protocol: Protocol

    def that(self, holds: object, message: str) -> None:
        """Answer 400 if it does not hold."""
        if not holds:
            raise Refused(self.protocol, Reply(status=400, message=message))

    def refuse_key(self, sent: str | None) -> None:
        if self.protocol == "openai":
            raise Refused("openai", wrong_key("openai"))
        if sent:
            raise Refused("gemini", wrong_key("gemini"))
        message = (
            "Method doesn't allow unregistered callers (callers without established identity)."
        )
        raise Refused("gemini", Reply(status=403, message=message))

    def refuse_model(self, model: str) -> None:
        if self.protocol == "openai":
            message = f"The model `{model}` does not exist or you do not have access to it."
            raise Refused("openai", Reply(status=404, message=message, reason="model_not_found"))
        message = f"models/{model} is not found for API version v1beta, or is not supported."
        raise Refused("gemini", Reply(status=404, message=message))

    def known(self, names: object, known: set[str], message: str) -> None:
        unknown = sorted(set(names) - known) if isinstance(names, dict) else ["not an object"]
        self.that(not unknown, message.format(unknown[:1]))

    def base64(self, data: object, *, start: bytes, at: int = 0, what: str) -> bytes:
        try:
            # Google takes both alphabets.
            alphabet = str(data).replace("-", "+").replace("_", "/")
            media = base64.b64decode(alphabet, validate=True)
        except binascii.Error:
            media = b""
        self.that(media[at:].startswith(start), f"Unable to process input {what}.")
        return media

    def schema(self, schema: object, *, strict: bool) -> None:
        """No references; strict: every property required, and no others."""
        if isinstance(schema, list):
            for one in schema:
                self.schema(one, strict=strict)
        if not isinstance(schema, dict):
            return
        self.that("$ref" not in schema, "Invalid schema: $ref is not supported.")
        properties = schema.get("properties")
        if schema.get("type") == "object" and strict:
            closed = schema.get("additionalProperties") is False
            self.that(closed, "Invalid schema: 'additionalProperties' is required to be false.")
            required = sorted(schema.get("required", ()))
            self.that(
                required == sorted(properties or ()),
                "Invalid schema: 'required' must have all keys.",
            )
        named = isinstance(properties, dict)
        inner = [*properties.values()] if named else []
        inner += [value for name, value in schema.items() if name not in ("properties", "enum")]
        for one in inner:
            self.schema(one, strict=strict)


def _read_gemini(received: Received, check: _Check) -> None:
    unknown = 'Invalid JSON payload received. Unknown name "{}": Cannot find field.'
    body = received.body
    check.known(body, _GEMINI_FIELDS, unknown)
    config = body.get("generationConfig", {})
    check.known(config, _GEMINI_CONFIG, unknown)
    received.schema = config.get("responseJsonSchema")
    received.max_output_tokens = config.get("maxOutputTokens")
    if received.schema is not None:
        is_json = config.get("responseMimeType") == "application/json"
        check.that(is_json, "responseJsonSchema needs responseMimeType application/json.")
        check.schema(received.schema, strict=False)
    said = body.get("systemInstruction", {}).get("parts", [])
    received.instructions = "".join(part.get("text", "") for part in said)
    check.that(body.get("contents"), "contents is not specified.")
    parts = [part for content in body["contents"] for part in content.get("parts", [])]
    for part in map(_in_camel_case, parts):
        check.known(part, {"text", "inlineData", "videoMetadata"}, unknown)
        check.that(
            ("text" in part) != ("inlineData" in part), "contents.parts must have one field."
        )
        blob = part.get("inlineData", {})
        match blob.get("mimeType"):
            case None:
                _take_text(received, part["text"])
            case "video/mp4":
                received.mp4 = check.base64(blob["data"], start=b"ftyp", at=4, what="video")
                received.fps = part.get("videoMetadata", {}).get("fps")
                check.that(
                    received.fps is None or 0 < received.fps <= 24, "fps must be in (0, 24]."
                )
                received.order.append("video")
            case "image/jpeg":
                _take_picture(received, check.base64(blob["data"], start=b"\xff\xd8", what="image"))
            case other:
                check.that(False, f"Unsupported MIME type: {other}")


def _in_camel_case(part: Any) -> Any:
    """Google takes a field's name in either spelling, and its own SDK mixes both."""
    if not isinstance(part, dict):
        return part
    return {
        re.sub("_([a-z])", lambda match: match[1].upper(), name): _in_camel_case(value)
        for name, value in part.items()
    }


def _read_openai(received: Received, check: _Check) -> None:
    body = received.body
    check.known(body, _OPENAI_FIELDS, "Unrecognized request argument supplied: {}")
    received.max_output_tokens = body.get("max_completion_tokens", body.get("max_tokens"))
    form = body.get("response_format")
    if form is not None:
        check.that(form.get("type") == "json_schema", "Invalid value: 'response_format.type'.")
        named = form["json_schema"]
        name = named.get("name", "")
        check.that(re.fullmatch(r"[\w-]{1,64}", name, re.ASCII), f"Invalid name: {name!r}.")
        received.schema, received.schema_name = named.get("schema"), name
        check.schema(received.schema, strict=named.get("strict") is True)
    check.that(body.get("messages"), "Missing required parameter: 'messages'.")
    for message in body["messages"]:
        role, content = message.get("role"), message.get("content")
        check.that(role in ("system", "user"), "Invalid value: 'messages.role'.")
        if role == "system":
            received.instructions += content
            continue
        for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            check.that(part.get("type") in ("text", "image_url"), "Invalid value: 'content.type'.")
            if part["type"] == "text":
                _take_text(received, part["text"])
                continue
            head, _, data = part["image_url"]["url"].partition(",")
            check.that(head == "data:image/jpeg;base64", "You uploaded an unsupported image.")
            _take_picture(received, check.base64(data, start=b"\xff\xd8", what="image"))


def _take_text(received: Received, text: str) -> None:
    is_time = _TIME.fullmatch(text)
    received.order.append("time" if is_time else "text")
    if is_time:
        received.last_t = float(is_time["t"])
    else:
        received.text += text


def _take_picture(received: Received, jpeg: bytes) -> None:
    received.order.append("picture")
    received.pictures.append((received.last_t, jpeg))
    received.last_t = math.nan


def wrong_key(protocol: Protocol) -> Reply:
    """What the real service answers to a key that it does not know."""
    if protocol == "openai":
        message = "Incorrect API key provided."
        return Reply(status=401, message=message, reason="invalid_api_key")
    message = "API key not valid. Please pass a valid API key."
    return Reply(status=400, message=message, reason="API_KEY_INVALID")


def answer_json(protocol: Protocol, reply: Reply, model: str) -> dict[str, Any]:
    """The body of an answer, or of an error if the reply's status is one."""
    writers: dict[Protocol, Callable[[Reply, str], dict[str, Any]]] = {
        "gemini": _gemini_answer,
        "openai": _openai_answer,
    }
    if reply.status == 200:
        return writers[protocol](reply, reply.version or model)
    if protocol == "openai":
        kind = "server_error" if reply.status >= 500 else "invalid_request_error"
        error = {"message": reply.message, "type": kind, "param": None, "code": reply.reason}
        return {"error": error}
    details: list[dict[str, Any]] = []
    if reply.reason:
        info = {"@type": f"{_GOOGLE_RPC}ErrorInfo", "reason": reply.reason}
        details.append({**info, "domain": "googleapis.com"})
    if reply.retry_delay:
        details.append({"@type": f"{_GOOGLE_RPC}RetryInfo", "retryDelay": reply.retry_delay})
    status = _GRPC.get(reply.status, "UNKNOWN")
    error = {"code": reply.status, "message": reply.message, "status": status}
    return {"error": {**error, "details": details} if details else error}


def _gemini_answer(reply: Reply, model: str) -> dict[str, Any]:
    answer: dict[str, Any] = {"modelVersion": model, "responseId": "r1"}
    if reply.input_tokens is not None:
        answer["usageMetadata"] = {
            "promptTokenCount": reply.input_tokens,
            "candidatesTokenCount": reply.output_tokens,
            "totalTokenCount": reply.input_tokens + reply.output_tokens + reply.thought_tokens,
        } | ({"thoughtsTokenCount": reply.thought_tokens} if reply.thought_tokens else {})
    if reply.finish == "question_blocked":
        return {**answer, "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
    reasons = {"truncated": "MAX_TOKENS", "blocked": "SAFETY", "refused": "RECITATION"}
    candidate: dict[str, Any] = {"index": 0, "finishReason": reasons.get(reply.finish, "STOP")}
    if reply.text and reply.finish in ("stop", "truncated"):
        thoughts = [{"text": "Let me see.", "thought": True}] if reply.thought_tokens else []
        candidate["content"] = {"role": "model", "parts": [*thoughts, {"text": reply.text}]}
    return {**answer, "candidates": [candidate]}


def _openai_answer(reply: Reply, model: str) -> dict[str, Any]:
    reasons = {"truncated": "length", "blocked": "content_filter"}
    refused = reply.finish in ("refused", "question_blocked")
    message = {
        "role": "assistant",
        "content": None if refused else reply.text,
        "refusal": "I can't help with that." if refused else None,
    }
    reason = reasons.get(reply.finish, "stop")
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    answer: dict[str, Any] = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1}
    answer |= {"model": model, "choices": [choice]}
    if reply.input_tokens is not None:
        output = reply.output_tokens + reply.thought_tokens
        answer["usage"] = {
            "prompt_tokens": reply.input_tokens,
            "completion_tokens": output,
            "total_tokens": reply.input_tokens + output,
        }
    return answer
