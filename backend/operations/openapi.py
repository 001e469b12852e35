"""The API's description: neat operation names, one error answer, and who may call what."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from backend.kernel.auth import COOKIE, Role
from backend.kernel.http import ErrorAnswer
from backend.operations.access import list_access
from backend.version import __version__

TITLE = "VAP"
SUMMARY = "A self-hosted video analytics server."
TAGS = [
    {"name": "cameras", "description": "Cameras, their sources and states."},
    {"name": "recordings", "description": "Archive segments with what was found, and gaps."},
    {"name": "video", "description": "Live HLS and archive files."},
    {"name": "scene", "description": "Analyses of archives: who looks, scores, days, costs."},
    {"name": "incidents", "description": "What analyses found, and what people made of it."},
    {"name": "jobs", "description": "The queue of analysis jobs."},
    {"name": "speech contract", "description": "The ECG backend's contract, both sides of it."},
    {"name": "speech", "description": "Videos that are listened to, and their transcripts."},
    {"name": "callbacks", "description": "Messages to receivers: where they stand, again."},
    {"name": "workers", "description": "Worker processes."},
    {"name": "session", "description": "Who the caller is; logging in and out."},
    {"name": "operations", "description": "Health, metrics and the event stream."},
]
ERROR_ANSWERS: dict[int | str, dict[str, Any]] = {
    "default": {"model": ErrorAnswer, "description": "What went wrong, with a stable code."}
}
SECURITY = {
    "key": {"type": "http", "scheme": "bearer", "description": "An entry of VAP_API_KEYS."},
    "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
}


def operation_id(route: APIRoute) -> str:
    """The function's name: what a generated client calls the operation."""
    return route.name


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document; made once an app."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=TITLE, version=__version__, summary=SUMMARY, tags=TAGS, routes=app.routes
        )
        document.setdefault("components", {})["securitySchemes"] = SECURITY
        _add_roles(document, app)
        _settle_failures(document)
        app.openapi_schema = document
    return app.openapi_schema


def _add_roles(document: dict[str, Any], app: FastAPI) -> None:
    for access in list_access(app):
        operation = document["paths"].get(access.path, {}).get(access.method.lower())
        if operation is None or access.role is None:
            continue
        operation["x-role"] = access.role.name.lower()
        if access.role is not Role.PUBLIC:
            operation["security"] = [{"key": []}, {"session": []}]


def _settle_failures(document: dict[str, Any]) -> None:
    """FastAPI describes a 422 that VAP never gives (what is invalid is answered with 400), and
    failures in the media type of the success: they are always JSON.
    """
    for operations in document["paths"].values():
        for operation in operations.values():
            answers = operation["responses"]
            answers.pop("422", None)
            (schema,) = answers["default"]["content"].values()
            answers["default"]["content"] = {"application/json": schema}
    schemas = document["components"].get("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
