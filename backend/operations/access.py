"""Which role each route asks for, read from the routes themselves.

The main process refuses to start with a route that declares none; `docs/access.md` and the API's
description are made from the same list.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import Mount

from backend.kernel.auth import Requires, Role

PUBLIC_FILES = frozenset({"/ui", "/docs/files"})


@dataclass(frozen=True, slots=True)
class Access:
    """A route and the least role that may call it; None when it declares none."""

    method: str
    path: str
    role: Role | None
    summary: str


class UndeclaredRoute(Exception):
    """A route does not say who may call it."""


def list_access(app: FastAPI) -> list[Access]:
    """All routes by path and method. Mounted files count as one route, method `*`."""
    found = []
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        path = (context.path or "").replace(":path}", "}")  # as the description names it
        if isinstance(route, APIRoute):
            role = required_role(route)
            summary = (route.description or "").partition("\n")[0]
            found += [Access(method, path, role, summary) for method in route.methods or ()]
        elif isinstance(route, Mount) and path in PUBLIC_FILES:
            found.append(Access("*", path, Role.PUBLIC, "Files."))
        else:
            found.append(Access("*", path, None, ""))
    return sorted(found, key=lambda access: (access.path, access.method))


def refuse_undeclared(app: FastAPI) -> None:
    """Check that every route declares its role.

    Raises:
        UndeclaredRoute: one does not.
    """
    for access in list_access(app):
        if access.role is None:
            raise UndeclaredRoute(f"{access.method} {access.path} declares no role")


def required_role(route: APIRoute) -> Role | None:
    """The highest role that the route's dependencies ask for."""
    return max(_roles(route.dependant), default=None)


def _roles(dependant: Dependant) -> Iterator[Role]:
    if isinstance(dependant.call, Requires):
        yield dependant.call.role
    for dependency in dependant.dependencies:
        yield from _roles(dependency)
