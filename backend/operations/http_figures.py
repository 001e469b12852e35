"""Counts HTTP answers by route template, and gives every answer its plain security headers.

Pure ASGI: a body passes through untouched, so that video and event streams are not buffered.
"""

from __future__ import annotations

import time

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.operations.metrics import Metrics

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}


class HttpFigures:
    """ASGI middleware around the whole app."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and count its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in METHODS else "other"
        started = time.perf_counter()
        metrics = self._metrics

        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = route_template(scope)
                took_s = time.perf_counter() - started
                metrics.http_requests.labels(method, route, message["status"]).inc()
                metrics.http_latency.labels(method, route).observe(took_s)
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            elif message["type"] == "http.response.body":
                metrics.http_bytes.labels(route_template(scope)).inc(len(message.get("body", b"")))
            await send(message)

        await self._app(scope, receive, counting)


def route_template(scope: Scope) -> str:
    """The path of the route that answers, with its parameters' names: a bounded set."""
    template = getattr(scope.get("route"), "path_format", None)
    if isinstance(template, str):
        return template
    return scope.get("root_path") or "unmatched"
