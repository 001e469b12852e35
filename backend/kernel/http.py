"""What every HTTP route shares: the error answer, its mapping to statuses, pages of lists."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Generic, TypeVar

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.kernel.db import is_disconnect
from backend.kernel.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    TooMany,
    Unauthenticated,
    Unavailable,
    VapError,
)

log = structlog.get_logger(__name__)

STATUS: dict[type[VapError], int] = {
    InvalidInput: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    TooMany: 429,
    Unavailable: 503,
}
CODES = {
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    416: "range_not_satisfiable",
}

Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    """One page of a list; hand `next_cursor` back as `cursor` for the next (null: no more)."""

    items: list[Item]
    next_cursor: str | None = None


class ErrorBody(BaseModel):
    """What went wrong: a stable code, a sentence, and facts where there are any."""

    code: str
    message: str
    detail: dict[str, object] | list[dict[str, object]] | None = None


class ErrorAnswer(BaseModel):
    """The answer of every route that fails."""

    error: ErrorBody


def encode_cursor(*values: int | str) -> str:
    """An opaque cursor of the last row's sort values."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> list[int | str]:
    """The sort values of a cursor that `encode_cursor` made.

    Raises:
        InvalidInput: it did not.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        values = json.loads(base64.urlsafe_b64decode(padded.encode()))
    except (ValueError, binascii.Error, UnicodeError):
        values = None
    if not isinstance(values, list) or not all(isinstance(v, int | str) for v in values):
        raise InvalidInput("the cursor is not one that this server gave", code="invalid_cursor")
    return values


def install_errors(app: FastAPI) -> None:
    """Answer every failure in the one shape; what is not foreseen is logged and says nothing."""

    @app.exception_handler(VapError)
    async def _vap_error(_: Request, error: VapError) -> JSONResponse:
        status = next((s for kind, s in STATUS.items() if isinstance(error, kind)), 500)
        return _answer(status, error.code, error.message, error.detail or None)

    @app.exception_handler(RequestValidationError)
    async def _validation_error(_: Request, error: RequestValidationError) -> JSONResponse:
        problems: list[dict[str, object]] = [
            {"field": ".".join(str(part) for part in e["loc"]), "message": e["msg"]}
            for e in error.errors()
        ]
        first = problems[0]
        return _answer(400, "invalid_input", f"{first['field']}: {first['message']}", problems)

    @app.exception_handler(HTTPException)
    async def _http_error(_: Request, error: HTTPException) -> JSONResponse:
        code = CODES.get(error.status_code, "http_error")
        return _answer(error.status_code, code, str(error.detail), None, error.headers)

    app.add_middleware(_Unforeseen)


class _Unforeseen:
    """Answers what no handler knows; logs it once (an `Exception` handler would log it twice)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; an answer that has begun can only be broken off."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def noting(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception as error:  # the edge of a request
            if has_begun:
                raise
            await _answer_unforeseen(scope, error)(scope, receive, send)


def _answer_unforeseen(scope: Scope, error: Exception) -> JSONResponse:
    if is_disconnect(error):
        log.warning("database unreachable", action="http.db_down", path=scope["path"])
        return _answer(503, "database_unavailable", "the database cannot be reached", None)
    log.error(
        "request failed",
        action="http.failed",
        method=scope["method"],
        path=scope["path"],
        exc_info=error,
    )
    return _answer(500, "internal_error", "an internal error; the log has it", None)


def _answer(
    status: int,
    code: str,
    message: str,
    detail: dict[str, object] | list[dict[str, object]] | None,
    headers: object = None,
) -> JSONResponse:
    body = ErrorAnswer(error=ErrorBody(code=code, message=message, detail=detail))
    return JSONResponse(
        body.model_dump(mode="json", exclude_none=True),
        status,
        headers=headers if isinstance(headers, dict) else None,
    )
