"""Every failure is answered in one shape, and says no more than it should."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated

import pytest
from fastapi import Body, FastAPI
from fastapi.responses import StreamingResponse
from httpx import ASGITransport, AsyncClient
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from sqlalchemy.exc import OperationalError

from backend.kernel import http
from backend.kernel.errors import InvalidInput, VapError
from backend.kernel.http import (
    STATUS,
    RowId,
    UtcTime,
    app_part,
    decode_cursor,
    encode_cursor,
    install_errors,
)


def _concrete(kind: type[VapError]) -> list[type[VapError]]:
    return [kind for kind in kind.__subclasses__() if kind.__module__ == "backend.kernel.errors"]


def _app() -> FastAPI:  # noqa: C901  a flat list of routes
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

    @app.get("/time")
    async def time(at: UtcTime) -> str:
        return at.isoformat()

    @app.get("/row/{row_id}")
    async def row(row_id: RowId) -> int:
        return row_id

    @app.post("/body")
    async def body(number: Annotated[int, Body()]) -> int:
        return number

    app.state.clock = "the clock"

    @app.get("/part")
    async def part(clock: Annotated[str, app_part("clock")]) -> str:
        return clock

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


A_TIME = st.datetimes(
    datetime(1970, 1, 1),  # noqa: DTZ001  the zone is drawn
    datetime(9998, 12, 31),  # noqa: DTZ001
    timezones=st.just(UTC),
)
CURSOR = TypeAdapter(tuple[UtcTime, RowId])


@given(A_TIME, st.integers(0, 2**63 - 1))
def test_a_cursor_gives_back_what_was_put_in(time: datetime, row_id: int) -> None:
    cursor = encode_cursor(time, row_id)
    assert cursor.isascii()
    assert decode_cursor(cursor, CURSOR) == (time, row_id)


def _cursor(json: str) -> str:
    return urlsafe_b64encode(json.encode()).decode()


@given(st.one_of(st.text(max_size=60), st.text(max_size=60).map(_cursor)))
def test_a_made_up_cursor_is_wrong_input_and_never_a_crash(text: str) -> None:
    with pytest.raises(InvalidInput):
        decode_cursor(text, CURSOR)


@pytest.mark.parametrize(
    "cursor",
    [
        *("", "?", "ü", "\ud800"),
        *(
            _cursor(json)
            for json in (
                "{}",
                "null",
                "[null]",
                "[1]",
                '["2026-01-01T00:00:00Z", "x"]',
                '["2026-01-01T00:00:00Z", -1]',
                f'["2026-01-01T00:00:00Z", {2**63}]',
                '["0001-01-01T00:00:00+05:00", 1]',
                '["2026-01-01T00:00:00Z", 1, 2]',
            )
        ),
    ],
)
def test_a_cursor_of_something_else_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        decode_cursor(cursor, CURSOR)
    assert caught.value.code == "invalid_cursor"


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("2026-01-02T03:04:05", "2026-01-02T03:04:05+00:00"),
        ("2026-01-02T03:04:05%2B09:00", "2026-01-01T18:04:05+00:00"),
    ],
)
async def test_a_time_is_taken_as_utc_unless_it_says_otherwise(
    client: AsyncClient, sent: str, meant: str
) -> None:
    assert (await client.get(f"/time?at={sent}")).json() == meant


@pytest.mark.parametrize(
    "path",
    [
        "/time?at=0001-01-01T00:00:00%2B05:00",
        "/time?at=9999-12-31T23:59:59-05:00",
        "/time?at=yesterday",
        "/row/9223372036854775808",
        "/row/-1",
    ],
)
async def test_what_no_database_can_hold_is_wrong_input(client: AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_input")


@pytest.mark.parametrize("says_length", [True, False])
async def test_a_body_that_is_too_long_is_refused_before_it_is_read_whole(
    client: AsyncClient, says_length: bool
) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 50 * http.MOST_BODY_BYTES:
            sent += 100_000
            yield b" " * 100_000

    headers = {"Content-Type": "application/json"}
    if says_length:
        headers["Content-Length"] = str(50 * http.MOST_BODY_BYTES)
    answer = await client.post("/body", content=chunks(), headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    assert sent <= http.MOST_BODY_BYTES + 100_000
    content = b"7" + b" " * 900_000
    headers |= {"Content-Length": str(len(content))} if says_length else {}
    small = await client.post("/body", content=content, headers=headers)
    assert small.json() == 7


async def test_a_part_of_the_app_is_handed_to_routes(client: AsyncClient) -> None:
    assert (await client.get("/part")).json() == "the clock"
