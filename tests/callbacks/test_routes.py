"""Callbacks over HTTP: what is shown, to whom, and sending again."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from backend.callbacks.routes import router
from backend.kernel.auth import Gate
from backend.kernel.http import install_errors
from backend.settings import ServerSettings
from tests.callbacks.office import Office
from tests.peers.callback_receiver import CallbackReceiver

CALLBACKS = "/api/v1/callbacks"
VIEWER, OPERATOR = "v" * 32, "o" * 32
URL = "http://127.0.0.1:9/x"


@pytest.fixture
async def client(small_office: Office) -> AsyncIterator[httpx.AsyncClient]:
    """A caller from elsewhere, known by a key or not at all."""
    app = FastAPI()
    keys = f"viewer:{VIEWER},operator:{OPERATOR}"
    server = ServerSettings.model_validate({"VAP_API_KEYS": keys})
    app.state.gate = Gate(server, session_key="test")
    app.state.callbacks = small_office.callbacks
    app.include_router(router)
    install_errors(app)
    transport = httpx.ASGITransport(app=app, client=("192.0.2.7", 50000))
    async with httpx.AsyncClient(transport=transport, base_url="http://vap.example") as client:
        yield client


def by(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def test_a_viewer_sees_where_callbacks_stand(
    client: httpx.AsyncClient, small_office: Office
) -> None:
    await small_office.add(URL, 10, job_id=7)
    id_ = await small_office.add(URL, 100, is_final=True, job_id=7)
    listed = (await client.get(CALLBACKS, params={"state": "pending"}, headers=by(VIEWER))).json()
    (one,) = listed["items"]
    assert (one["id"], one["state"], one["attempts"]) == (id_, "pending", 0)
    assert one["next_at"] < one["expires_at"]
    assert "body" not in one
    whole = (await client.get(f"{CALLBACKS}/{id_}", headers=by(VIEWER))).json()
    assert '"completed"' in whole["body"]
    both = (await client.get(CALLBACKS, params={"job_id": 7}, headers=by(VIEWER))).json()
    assert [item["state"] for item in both["items"]] == ["pending", "superseded"]
    assert both["items"][1]["next_at"] is None


async def test_only_an_operator_sends_again(
    client: httpx.AsyncClient, small_office: Office, receiver: CallbackReceiver
) -> None:
    async with small_office.sending():
        id_ = await small_office.add(receiver.url, 100, is_final=True)
        await small_office.until_sent()
        address = f"{CALLBACKS}/{id_}/redeliver"
        assert (await client.post(address)).status_code == 401
        assert (await client.post(address, headers=by(VIEWER))).status_code == 403
        again = await client.post(address, headers=by(OPERATOR))
        assert (again.status_code, again.json()["state"]) == (200, "pending")
        await small_office.until_sent()
    assert len(receiver.received) == 2


@pytest.mark.parametrize(
    ("method", "address", "status"),
    [
        ("GET", f"{CALLBACKS}/99", 404),
        ("POST", f"{CALLBACKS}/99/redeliver", 404),
        ("GET", f"{CALLBACKS}/{2**64}", 400),
        ("GET", f"{CALLBACKS}?cursor=nonsense", 400),
        ("GET", f"{CALLBACKS}?state=lost", 400),
        ("GET", f"{CALLBACKS}?job_id={2**40}", 400),
    ],
)
async def test_what_is_not_there_or_wrong_is_said(
    client: httpx.AsyncClient, method: str, address: str, status: int
) -> None:
    answer = await client.request(method, address, headers=by(OPERATOR))
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


async def test_an_unsent_callback_is_not_sent_again(
    client: httpx.AsyncClient, small_office: Office
) -> None:
    id_ = await small_office.add(URL, 10)
    answer = await client.post(f"{CALLBACKS}/{id_}/redeliver", headers=by(OPERATOR))
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "invalid_state")
