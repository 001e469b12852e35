"""The API's description: one name an operation, one error, and what each route asks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from httpx import AsyncClient

from backend.operations.access import UndeclaredRoute, list_access, refuse_undeclared


async def _document(client: AsyncClient) -> dict[str, Any]:
    answer = await client.get("/openapi.json")
    assert answer.status_code == 200
    return answer.json()


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        yield from methods.values()


async def test_operations_have_neat_names_a_tag_and_a_role(client: AsyncClient) -> None:
    document = await _document(client)
    operations = list(_operations(document))
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    assert all(name.isidentifier() for name in names)
    tags = {tag["name"] for tag in document["tags"]}
    for operation in operations:
        assert set(operation["tags"]) <= tags, operation["operationId"]
        assert operation["description"]
        assert operation["x-role"] in {"public", "service", "viewer", "operator", "admin"}
        assert ("security" in operation) == (operation["x-role"] != "public")


async def test_every_failure_is_described_as_it_is_given(client: AsyncClient) -> None:
    document = await _document(client)
    for operation in _operations(document):
        schema = operation["responses"]["default"]["content"]["application/json"]["schema"]
        assert schema == {"$ref": "#/components/schemas/ErrorAnswer"}
        assert "422" not in operation["responses"]
    assert "HTTPValidationError" not in document["components"]["schemas"]


async def test_the_docs_page_needs_no_file_from_elsewhere(client: AsyncClient) -> None:
    answer = await client.get("/docs")
    assert answer.status_code == 200
    assert "http" not in answer.text.replace("http-equiv", "")
    assert "'unsafe-eval'" not in answer.headers["content-security-policy"]
    for file in ("swagger-ui.css", "swagger-ui-bundle.js"):
        assert f"/docs/files/{file}" in answer.text
        assert (await client.get(f"/docs/files/{file}")).status_code == 200


def test_a_route_that_declares_no_role_is_found_wherever_it_stands() -> None:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    refuse_undeclared(app)
    inner = APIRouter(prefix="/inner")

    @inner.get("/open")
    async def open_to_all() -> None: ...

    outer = APIRouter(prefix="/outer")
    outer.include_router(inner)
    app.include_router(outer)
    with pytest.raises(UndeclaredRoute, match="GET /outer/inner/open"):
        refuse_undeclared(app)


def test_what_is_mounted_without_being_placed_is_found() -> None:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.mount("/somewhere", FastAPI())
    assert [access.role for access in list_access(app)] == [None]
