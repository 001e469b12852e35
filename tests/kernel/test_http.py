"""Every failure is answered in one shape, and says no more than it should."""

from __future__ import annotations

from contextlib import suppress

import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from httpx import ASGITransport, AsyncClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from backend.kernel import http
from backend.kernel.errors import InvalidInput, VapError
from backend.kernel.http import STATUS, decode_cursor, encode_cursor, install_errors


def _concrete(kind: type[VapError]) -> list[type[VapError]]:
    return [kind for kind in kind.__subclasses__() if kind.__module__ == "backend.kernel.errors"]


def _app() -> FastAPI:
    app = FastAPI()
    install_errors(app)

    @app.get("/raise/{name}")
    async def fail(name: str) -> None:
        if name == "bug":
            raise KeyError("/etc/secret")
        if name == "database":
            raise OperationalError("SELECT 1", {}, Exception("10.0.0.9 refused"))
        kind = next(kind for kind in _concrete(VapError) if kind.__name__ == name)
        raise kind("a sentence", fact=7)

    @app.get("/number/{number}")
    async def number(number: int) -> int:
        return number

    @app.get("/broken-off")
    async def broken_off() -> StreamingResponse:
        async def body():
            yield b"half"
            raise RuntimeError("in the middle")

        return StreamingResponse(body())

    return app


@pytest.fixture
async def client():
    async with AsyncClient(transport=ASGITransport(_app()), base_url="http://vap") as client:
        yield client


@pytest.mark.parametrize("kind", _concrete(VapError), ids=lambda kind: kind.__name__)
async def test_an_error_of_the_tree_has_its_status_code_message_and_facts(
    client: AsyncClient, kind: type[VapError]
) -> None:
    answer = await client.get(f"/raise/{kind.__name__}")
    assert answer.status_code == STATUS[kind]
    wanted = {"code": kind.code, "message": "a sentence", "detail": {"fact": 7}}
    assert answer.json() == {"error": wanted}


async def test_a_bug_is_answered_without_its_words_and_logged_once(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[str] = []
    monkeypatch.setattr(http.log, "error", lambda event, **facts: logged.append(facts["action"]))
    answer = await client.get("/raise/bug")
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal_error"
    assert "secret" not in answer.text
    assert logged == ["http.failed"]


async def test_a_database_that_is_down_is_503_and_says_no_address(client: AsyncClient) -> None:
    answer = await client.get("/raise/database")
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "database_unavailable"
    assert "10.0.0.9" not in answer.text


async def test_wrong_input_names_the_field(client: AsyncClient) -> None:
    answer = await client.get("/number/seven")
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "invalid_input"
    assert error["detail"][0]["field"] == "path.number"


async def test_no_such_address_and_no_such_method(client: AsyncClient) -> None:
    answer = await client.get("/nowhere")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    answer = await client.post("/number/7")
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")


async def test_an_answer_that_has_begun_is_broken_off(client: AsyncClient) -> None:
    with pytest.raises(RuntimeError, match="in the middle"):
        await client.get("/broken-off")


@given(st.lists(st.one_of(st.integers(), st.text()), min_size=1, max_size=4))
def test_a_cursor_gives_back_what_was_put_in(values: list[int | str]) -> None:
    cursor = encode_cursor(*values)
    assert cursor.isascii()
    assert decode_cursor(cursor) == values


@given(st.text(max_size=60))
def test_a_made_up_cursor_is_wrong_input_and_never_a_crash(text: str) -> None:
    with suppress(InvalidInput):
        assert all(isinstance(value, int | str) for value in decode_cursor(text))


@pytest.mark.parametrize("cursor", ["", "?", "e30", "bnVsbA", "W251bGxd", "ü"])
def test_a_cursor_of_something_else_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        decode_cursor(cursor)
    assert caught.value.code == "invalid_cursor"
