"""How the routes of the speech contract fail: in its one shape, with codes of one list.

    {"error": {"code": "INVALID_REQUEST", "message": "video_url is required", "job_id": "..."}}

| status | code |
| --- | --- |
| 400 | INVALID_REQUEST |
| 401, 403 | UNAUTHORIZED, FORBIDDEN |
| 404 | NOT_FOUND |
| 405 | METHOD_NOT_ALLOWED |
| 413 | PAYLOAD_TOO_LARGE |
| 429 | RATE_LIMITED, with Retry-After |
| 500 | INTERNAL_ERROR |
| 503 | SERVICE_UNAVAILABLE, with Retry-After |
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import structlog
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from backend.kernel.db import is_disconnect, reason_of
from backend.kernel.errors import InvalidInput, VapError
from backend.kernel.http import status_of

log = structlog.get_logger(__name__)

CODES = {
    400: "INVALID_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "PAYLOAD_TOO_LARGE",
    429: "RATE_LIMITED",
    500: "INTERNAL_ERROR",
    503: "SERVICE_UNAVAILABLE",
}
RETRY_AFTER_S = 5
NO_OBJECT = "the body is not a JSON object"
LONG_BYTES = 256 * 1024
SHOWN_CHARS = 200  # of an id in the answer to a mistake

Body = TypeVar("Body", bound=BaseModel)
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class ContractRoute(APIRoute):
    """A route whose every failure has the contract's shape."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; a wrong method is refused in the contract's shape too."""
        if self.methods and scope["method"] not in self.methods:
            refused = _failure(Request(scope), 405, "this method is not known here", {})
            refused.headers["Allow"] = ", ".join(sorted(self.methods))
            await refused(scope, receive, send)
        else:
            await super().handle(scope, receive, send)

    def get_route_handler(self) -> Handler:
        """The route's handler, with what it raises turned into answers."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except ClientDisconnect:
                raise
            except RequestValidationError as error:
                where = ".".join(str(part) for part in error.errors()[0]["loc"])
                return _failure(request, 400, f"{where} is wrong", {})
            except VapError as error:
                return _failure(request, status_of(error), error.message, error.detail)
            except HTTPException as error:
                return _failure(request, error.status_code, str(error.detail), {})
            except Exception as error:
                if is_disconnect(error):
                    log.warning(
                        "database unreachable", action="http.db_down", error=reason_of(error)
                    )
                    return _failure(request, 503, "try again later", {})
                log.exception("request failed", action="http.unforeseen", path=request.url.path)
                return _failure(request, 500, "an unforeseen error", {})

        return answer


async def read_body(request: Request, kind: type[Body]) -> Body:
    """The body of a request; its `job_id` is remembered for a failure's answer.

    Raises:
        InvalidInput: it is no JSON object, or lacks something.
    """
    try:
        raw = await request.body()
        if len(raw) > LONG_BYTES:  # a result of an hour: not on the loop
            plain = await asyncio.to_thread(from_json, raw, allow_inf_nan=False)
        else:
            plain = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidInput(NO_OBJECT) from error
    job_id = plain.get("job_id") if isinstance(plain, dict) else None
    request.state.job_id = job_id[:SHOWN_CHARS] if isinstance(job_id, str) else None
    try:
        return kind.model_validate(plain)
    except ValidationError as error:
        raise InvalidInput(_what_is_wrong(error)) from error


def _what_is_wrong(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"{field} is required"
    if not field:
        return NO_OBJECT
    return f"{field} is wrong: {first['msg'].lower()}"


def _failure(
    request: Request, status: int, message: str, detail: dict[str, object]
) -> JSONResponse:
    code = CODES.get(status, "INTERNAL_ERROR" if status >= 500 else "INVALID_REQUEST")
    body: dict[str, object] = {"code": code, "message": message}
    job_id = getattr(request.state, "job_id", None)
    if job_id is not None:
        body["job_id"] = job_id
    headers = {}
    if status in {429, 503}:
        headers["Retry-After"] = str(detail.get("retry_after_s", RETRY_AFTER_S))
    return JSONResponse({"error": body}, status_code=status, headers=headers)
