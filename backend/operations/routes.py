"""Health, metrics, the event stream, sessions, the API's description, and the way to the page."""

from __future__ import annotations

import secrets
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import fastapi_offline
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    StreamingResponse,
)
from fastapi.staticfiles import StaticFiles

from backend.events.stream import EventStream
from backend.kernel.auth import COOKIE, SESSION_S, Caller, Gate, Requires, Role
from backend.kernel.http import RowId, app_part
from backend.operations import openapi
from backend.operations.health import read_health
from backend.operations.login import LoginGuard
from backend.operations.loop_delay import LoopDelay
from backend.operations.metrics import CONTENT_TYPE, Metrics
from backend.operations.schemas import Health, Login, SessionView
from backend.operations.stream import EventStreamResponse
from backend.operations.vitals import Vitals
from backend.version import __version__

SWAGGER_FILES = StaticFiles(directory=Path(fastapi_offline.__file__).parent / "static")
DOCS_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>VAP API</title>
<link rel="icon" href="/docs/files/favicon.png">
<link rel="stylesheet" href="/docs/files/swagger-ui.css">
<div id="swagger"></div>
<script src="/docs/files/swagger-ui-bundle.js"></script>
<script nonce="{nonce}">
SwaggerUIBundle({{url: "/openapi.json", dom_id: "#swagger", deepLinking: true}})
</script>
"""
DOCS_POLICY = (
    "default-src 'self'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; frame-ancestors 'self'"
)

router = APIRouter()

PUBLIC = Depends(Requires(Role.PUBLIC))
VIEWER = Depends(Requires(Role.VIEWER))
Anyone = Annotated[Caller, PUBLIC]
Door = Annotated[Gate, app_part("gate")]
Signs = Annotated[Vitals, app_part("vitals")]
Delay = Annotated[LoopDelay, app_part("loop_delay")]
Stream = Annotated[EventStream, app_part("events")]


@router.get("/", dependencies=[PUBLIC], include_in_schema=False)
@router.get("/ui", dependencies=[PUBLIC], include_in_schema=False)
async def go_to_page() -> RedirectResponse:
    """The page."""
    return RedirectResponse("/ui/", status_code=307)


@router.get("/health", dependencies=[PUBLIC], tags=["operations"])
async def get_health(response: Response, vitals: Signs, loop_delay: Delay) -> Health:
    """200 while VAP serves; what is wrong stands in `status` and `problems`."""
    response.headers["Cache-Control"] = "no-store"
    return await read_health(vitals, loop_delay)


@router.get(
    "/metrics", dependencies=[VIEWER], tags=["operations"], response_class=PlainTextResponse
)
async def get_metrics(
    metrics: Annotated[Metrics, app_part("metrics")],
    vitals: Signs,
    stream: Stream,
    loop_delay: Delay,
) -> Response:
    """Figures in Prometheus's text format."""
    body = await metrics.scrape(vitals, stream, loop_delay)
    return Response(body, media_type=CONTENT_TYPE)


@router.get(
    "/api/v1/events",
    dependencies=[VIEWER],
    tags=["operations"],
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def follow_events(
    request: Request,
    stream: Stream,
    last_event_id: Annotated[
        RowId | None, Query(description="Replay what came after this event first.")
    ] = None,
    last_event_id_header: Annotated[
        RowId | None, Header(alias="Last-Event-ID", description="As browsers send it.")
    ] = None,
) -> EventStreamResponse:
    """Server-sent events, each with its id, its type and a JSON payload."""
    state = request.app.state
    return EventStreamResponse(
        stream,
        after_id=last_event_id if last_event_id_header is None else last_event_id_header,
        stopping=state.stopping,
        hang_up=partial(state.hang_up, request.scope["client"]),
    )


@router.get("/api/v1/session", tags=["session"])
async def read_session(response: Response, gate: Door, caller: Anyone) -> SessionView:
    """Who the caller is."""
    response.headers["Cache-Control"] = "no-store"
    return _session(gate, caller)


@router.post("/api/v1/session", dependencies=[PUBLIC], tags=["session"])
async def log_in(
    request: Request,
    response: Response,
    gate: Door,
    guard: Annotated[LoginGuard, app_part("login_guard")],
    login: Login,
) -> SessionView:
    """Open a session with the administrator's password: sets a cookie."""
    password = login.password.get_secret_value()
    cookie = await guard.attempt(gate.client_address(request), lambda: gate.login(password))
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=SESSION_S,
        path="/",
        secure=gate.is_https(request),
        httponly=True,
        samesite="strict",
    )
    return _session(gate, Caller("admin", Role.ADMIN))


@router.delete("/api/v1/session", dependencies=[PUBLIC], tags=["session"], status_code=204)
async def log_out(request: Request, gate: Door) -> Response:
    """Close the session: takes the cookie away."""
    response = Response(status_code=204)
    response.delete_cookie(
        COOKIE, path="/", secure=gate.is_https(request), httponly=True, samesite="strict"
    )
    return response


@router.get("/openapi.json", dependencies=[VIEWER], include_in_schema=False)
async def get_openapi_document(request: Request) -> JSONResponse:
    """The API's description."""
    document: dict[str, Any] = openapi.describe(request.app)
    return JSONResponse(document)


@router.get("/docs", dependencies=[VIEWER], include_in_schema=False)
async def get_docs_page() -> HTMLResponse:
    """The API's description to read and try, without files from elsewhere."""
    nonce = secrets.token_urlsafe(16)
    policy = DOCS_POLICY.format(nonce=nonce)
    return HTMLResponse(DOCS_PAGE.format(nonce=nonce), headers={"Content-Security-Policy": policy})


def _session(gate: Gate, caller: Caller) -> SessionView:
    return SessionView.model_validate(
        {
            "authenticated": caller.role >= Role.VIEWER,
            "name": caller.name,
            "role": caller.role.name.lower(),
            "password_login": gate.password_is_set(),
            "version": __version__,
        }
    )
