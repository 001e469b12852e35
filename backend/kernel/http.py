"""What every HTTP route shares: its parts, the error answer, ids and times, pages of lists."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

import structlog
from annotated_types import Ge, Le
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, TypeAdapter
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.kernel.db import is_disconnect, is_unstorable_text, reason_of
from backend.kernel.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    TooLarge,
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
    TooLarge: 413,
    TooMany: 429,
    Unavailable: 503,
}
CODES = {
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    416: "range_not_satisfiable",
}

MOST_BODY_BYTES = 1_000_000
"""Of a request, where a route says nothing else."""

Item = TypeVar("Item")
Values = TypeVar("Values")


def _in_utc(time: datetime) -> datetime:
    """A time without a zone is UTC; one at the ends of the calendar cannot be reckoned with."""
    if not 1970 <= time.year < 9999:
        raise ValueError("a year from 1970 to 9998 is meant")
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


RowId = Annotated[int, Ge(0), Le(2**63 - 1)]  # what a database takes for one
UtcTime = Annotated[datetime, AfterValidator(_in_utc)]


def app_part(name: str) -> Any:
    """A dependency: what the composition root has put into `app.state` under this name.

    `Queue = Annotated[JobQueue, app_part("jobs")]`. It is async: others are run in threads.
    """

    async def find(request: Request) -> object:
        return getattr(request.app.state, name)

    return Depends(find)


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


def encode_cursor(*values: int | datetime) -> str:
    """An opaque cursor of the last row's sort values."""
    return base64.urlsafe_b64encode(to_json(values)).decode().rstrip("=")


def decode_cursor(cursor: str, values: TypeAdapter[Values]) -> Values:
    """The sort values of a cursor that `encode_cursor` made of such values.

    Raises:
        InvalidInput: it did not.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return values.validate_json(base64.urlsafe_b64decode(padded.encode()))
    except ValueError:
        raise InvalidInput(
            "the cursor is not one that this server gave", code="invalid_cursor"
        ) from None


def status_of(error: VapError) -> int:
    """The HTTP status of an error."""
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)


def install_errors(app: FastAPI, *, body_limits: Mapping[str, int] | None = None) -> None:
    """Answer every failure in the one shape; what is not foreseen is logged and says nothing.

    `body_limits`: most bytes of a request by path, where not MOST_BODY_BYTES.
    """

    @app.exception_handler(VapError)
    async def _vap_error(_: Request, error: VapError) -> JSONResponse:
        return _answer(status_of(error), error.code, error.message, error.detail or None)

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
    app.add_middleware(_BodyLimit, limits=body_limits or {})


class _BodyLimit:
    """Refuses a body while it is sent: FastAPI reads it whole before it asks who the caller is."""

    def __init__(self, app: ASGIApp, *, limits: Mapping[str, int]) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; a body that is too long is answered with 413."""
        taken_bytes = 0
        most_bytes = self._limits.get(scope.get("path", ""), MOST_BODY_BYTES)
        announced = dict(scope.get("headers", ())).get(b"content-length", b"")
        announced_bytes = int(announced[:20]) if announced.isdigit() else 0
        too_large = HTTPException(413, f"a request has at most {most_bytes} bytes")

        async def counting() -> Message:
            nonlocal taken_bytes
            if announced_bytes > most_bytes:
                raise too_large
            message = await receive()
            taken_bytes += len(message.get("body", b""))
            if taken_bytes > most_bytes:
                raise too_large
            return message

        await self._app(scope, counting, send)


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
        except ClientDisconnect:
            log.info("the client left", action="http.left", path=scope["path"])
        except Exception as error:  # the edge of a request
            if has_begun:
                raise
            await _answer_unforeseen(scope, error)(scope, receive, send)


def _answer_unforeseen(scope: Scope, error: Exception) -> JSONResponse:
    if is_unstorable_text(error):
        return _answer(400, "invalid_input", "a text holds a character that is not stored", None)
    if is_disconnect(error):
        log.warning(
            "database unreachable",
            action="http.db_down",
            path=scope["path"],
            error=reason_of(error),
        )
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
