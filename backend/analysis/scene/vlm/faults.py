"""What went wrong when a model's server was asked, as one of the errors of `model`.

Read from HTTP itself (status, headers, body, broken connection) and not from what an SDK makes of
it: both protocols fail alike there, and SDKs change. Messages are for an operator: the server's
own words, if any, come cut and with the key and every URL's credentials masked.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx2

from backend.analysis.scene.vlm.model import (
    ModelBusy,
    ModelError,
    ModelMisconfigured,
    ModelRefused,
)
from backend.kernel.redact import MASK, redact
from backend.kernel.retry import asked_delay_s

LONGEST_HINT_S = 3600.0
LONGEST_WORDS = 300
_WORDS_READ = 20_000
_SHORTEST_KEY = 4
_NOT_THE_PROTOCOL = "What answers at the model's address does not speak this protocol"


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer other than a good one; `body` is None when it was too large to be read."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None


def of_answer(answer: HttpAnswer, *, model: str, key: str | None, now: datetime) -> ModelError:
    """The error that an HTTP answer means; `now` is the aware time that it came at."""
    status, error = answer.status, _protocol_error(answer.body)
    words = _words(answer.body, key)
    said = f"HTTP {status}{': ' + words if words else ''}"
    if 300 <= status < 400:
        return ModelMisconfigured(
            "endpoint_wrong", f"The model's address redirects elsewhere (HTTP {status})"
        )
    if status in (401, 403) or _reason(error) == "API_KEY_INVALID":
        return ModelMisconfigured("key_refused", f"The model's server refused the key ({said})")
    if status == 402:
        # Not about this question: nothing will work until the account is paid for.
        return ModelMisconfigured("key_refused", f"The account behind the key must pay ({said})")
    if status == 404 and _is_about_the_model(error):
        name = _masked(model, key)
        return ModelMisconfigured("model_unknown", f"The server has no model {name} ({said})")
    if status == 404 or (status == 405 and error is None):
        return ModelMisconfigured("endpoint_wrong", f"{_NOT_THE_PROTOCOL} ({said})")
    if status == 429:
        return ModelBusy(
            "rate_limited",
            f"The model's server has had too many requests ({said})",
            retry_after_s=_hint_s(answer.headers, error, now),
        )
    if status == 408 or 500 <= status < 600:
        return ModelBusy(
            "server_error",
            f"The model's server failed ({said})",
            retry_after_s=_hint_s(answer.headers, error, now),
        )
    if status == 413:
        return ModelRefused("request_too_large", f"The request was too large ({said})")
    if 400 <= status < 500:
        return ModelRefused("request_refused", f"The model's server refused the request ({said})")
    return not_the_protocol()


def not_the_protocol() -> ModelMisconfigured:
    """An answer that calls itself good came from something else, such as a proxy's page."""
    return ModelMisconfigured("endpoint_wrong", _NOT_THE_PROTOCOL)


def not_callable() -> ModelMisconfigured:
    """The configured address is none."""
    return ModelMisconfigured("endpoint_wrong", "The model's address is not one to be called")


def timed_out(timeout_s: float) -> ModelBusy:
    """No whole answer within the time given to one call."""
    return ModelBusy("timeout", f"The model did not answer within {timeout_s:g} s")


def of_exception(error: Exception, *, timeout_s: float) -> ModelError:
    """The error that no whole HTTP answer means."""
    match error:
        case httpx2.InvalidURL() | httpx2.UnsupportedProtocol() | httpx2.LocalProtocolError():
            return not_callable()
        case httpx2.ConnectError() if _is_about_tls(error):
            return ModelMisconfigured(
                "endpoint_wrong",
                "The model's server does not speak TLS, or its certificate is not trusted",
            )
        case httpx2.ConnectError() | httpx2.ConnectTimeout() | httpx2.ProxyError():
            return ModelBusy("unreachable", "The model's server cannot be reached")
        case httpx2.TimeoutException():
            return timed_out(timeout_s)
        case httpx2.DecodingError():
            return not_the_protocol()
        case _:
            return ModelBusy("connection_lost", "The connection to the model's server broke off")


def _is_about_tls(error: BaseException | None) -> bool:
    """Whether TLS itself failed, rather than the connection under it."""
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)
        error = error.__cause__ or error.__context__
    return False


def _protocol_error(body: bytes | None) -> Mapping[str, Any] | None:
    """The error object that both protocols answer with; None for anything else."""
    parsed = _json(body)
    if isinstance(parsed, list) and len(parsed) == 1:  # Gemini, when asked for a stream
        parsed = parsed[0]
    if not isinstance(parsed, dict):
        return None
    error = parsed.get("error")
    if isinstance(error, dict):
        return error
    if isinstance(error, str):
        return {"message": error}
    return parsed if parsed.get("object") == "error" else None  # vLLM did so before 0.10


def _json(body: bytes | None) -> Any:
    try:
        return json.loads(body or b"null")
    except (ValueError, RecursionError):
        return None


def _reason(error: Mapping[str, Any] | None) -> str | None:
    """Google's own reason (`google.rpc.ErrorInfo`)."""
    reasons = (detail.get("reason") for detail in _details(error))
    return next((reason for reason in reasons if isinstance(reason, str)), None)


def _details(error: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    details = (error or {}).get("details")
    return [one for one in details if isinstance(one, dict)] if isinstance(details, list) else []


def _is_about_the_model(error: Mapping[str, Any] | None) -> bool:
    """Tells an unknown model from an unknown path, which llama.cpp and OpenAI answer alike."""
    if error is None:
        return False
    return error.get("code") == "model_not_found" or "model" in str(error.get("message")).lower()


def _hint_s(
    headers: Mapping[str, str], error: Mapping[str, Any] | None, now: datetime
) -> float | None:
    """How long the server asks to be left alone: Retry-After, else `google.rpc.RetryInfo`."""
    hint_s = asked_delay_s(headers.get("retry-after", ""), now)
    for detail in _details(error) if hint_s is None else ():
        delay = str(detail.get("retryDelay"))
        if re.fullmatch(r"\d{1,9}(\.\d{1,9})?s", delay):
            hint_s = float(delay.removesuffix("s"))
    return None if hint_s is None else min(hint_s, LONGEST_HINT_S)


def _words(body: bytes | None, key: str | None) -> str:
    """What the server said for itself: one line, cut, with nothing secret in it."""
    parsed = _json(body)
    words = (_protocol_error(body) or {}).get("message")
    if words is None and isinstance(parsed, dict):
        words = parsed.get("detail") or parsed.get("message")
    if not isinstance(words, str):
        return ""
    line = _masked(" ".join(words[:_WORDS_READ].split()), key)
    line = "".join(character for character in line if character.isprintable())
    return line if len(line) <= LONGEST_WORDS else line[: LONGEST_WORDS - 1] + "…"


def _masked(text: str, key: str | None) -> str:
    """The text without the key, and without credentials in URLs."""
    if key and len(key) >= _SHORTEST_KEY:
        text = text.replace(key, MASK)
    return redact(text)
