"""What goes over the wire, what an answer leads to, and what a stop or a crash leaves."""

from __future__ import annotations

import asyncio
import base64
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import structlog
from sqlalchemy import update
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from backend.callbacks import posting, queries
from backend.callbacks import sender as sender_module
from backend.callbacks import service as service_module
from backend.callbacks.sender import RETRY
from backend.callbacks.signing import Signer
from backend.callbacks.tables import CallbackRow
from backend.callbacks.targets import CallbackTargets
from backend.kernel.retry import Backoff
from tests.callbacks.office import Office
from tests.peers.callback_receiver import PATH, Answer, CallbackReceiver
from tests.waiting import WITHIN_S, until

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes ...").decode()
LATER = Backoff(first_s=3600, max_s=3600, jitter=0)
A_TICK = timedelta(milliseconds=50)
"""How far the clocks of database and test are apart; SQLite's counts milliseconds."""


async def test_a_callback_arrives_with_the_specified_headers(
    office: Office, receiver: CallbackReceiver
) -> None:
    async with office.sending():
        id_ = await office.add(receiver.url, 10)
        await office.until_sent()
    (got,) = receiver.received
    row = await office.row(id_)
    assert (got.method, got.path) == ("POST", PATH)
    assert got.headers["content-type"] == "application/json"
    assert got.headers["user-agent"] == "ML-Server/1.0"
    assert got.headers["webhook-id"] == row.message_id
    assert not {"webhook-signature", "webhook-timestamp", "cookie"} & got.headers.keys()
    assert got.json == {"job_id": "job-1", "status": "processing", "progress": 10}
    assert (row.state, row.attempts, row.last_status, row.last_error) == ("delivered", 1, 200, None)
    assert row.delivered_at is not None


async def test_a_signature_is_that_of_standard_webhooks(
    office: Office, receiver: CallbackReceiver
) -> None:
    async with office.sending(secret=SECRET):
        await office.add(receiver.url, 100, is_final=True, body={"text": "한글 😀"})
        await office.until_sent()
    (got,) = receiver.received
    assert Webhook(SECRET).verify(got.body, got.headers) == {"text": "한글 😀"}
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(got.body + b" ", got.headers)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "한글" * 20, "no base64!" * 9])
def test_a_secret_that_signs_nothing_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(ValueError, match="webhook secret") as caught:
        Signer(secret)
    assert not secret or secret not in str(caught.value)


@pytest.mark.parametrize(
    ("key_bytes", "is_one"), [(16, False), (23, False), (24, True), (64, True), (65, False)]
)
def test_a_secret_has_as_many_bytes_as_standard_webhooks_says(key_bytes: int, is_one: bool) -> None:
    secret = "whsec_" + base64.b64encode(bytes(range(key_bytes))).decode()
    with nullcontext() if is_one else pytest.raises(ValueError, match="24 to 64 bytes"):
        Signer(secret)


async def test_a_connection_is_used_again_and_cookies_are_not(
    small_office: Office, receiver: CallbackReceiver
) -> None:
    async with small_office.sending():
        for progress in range(12):
            await small_office.add(receiver.url, progress)
            await small_office.until_sent()
    assert receiver.connections_count < 6  # one; the client gives it up where we pause for 5 s
    assert not any("cookie" in got.headers for got in receiver.received)


async def test_a_long_body_arrives_whole(
    office: Office, receiver: CallbackReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "PIECE_CHARS", 1000)
    text = "".join(f"{n} 한글 😀 \\ ' \" %s\n" for n in range(2000))
    async with office.sending(secret=SECRET):
        await office.add(receiver.url, 100, is_final=True, body={"text": text})
        await office.until_sent()
    (got,) = receiver.received
    assert Webhook(SECRET).verify(got.body, got.headers) == {"text": text}


async def test_the_largest_body_that_is_taken_is_sent(
    office: Office, receiver: CallbackReceiver
) -> None:
    text = "x" * (service_module.MOST_BODY_BYTES - len('{"text":""}'))
    async with office.sending():
        id_ = await office.add(receiver.url, 100, is_final=True, body={"text": text})
        await office.until_sent(within_s=4 * WITHIN_S)
    assert len(receiver.received[0].body) == service_module.MOST_BODY_BYTES
    assert (await office.row(id_)).size_bytes == service_module.MOST_BODY_BYTES


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_a_failure_and_is_not_followed(
    small_office: Office, receiver: CallbackReceiver, status: int
) -> None:
    async with CallbackReceiver() as elsewhere, small_office.sending(retry=LATER):
        receiver.answer_with(Answer(status, {"Location": elsewhere.url}))
        row = await small_office.until_attempts(await small_office.add(receiver.url, 10), 1)
        assert elsewhere.received == []
    assert (row.state, row.last_status) == ("pending", status)
    assert "redirect" in row.last_error


@pytest.mark.parametrize("status", [204, 201])
async def test_any_2xx_is_a_delivery(
    small_office: Office, receiver: CallbackReceiver, status: int
) -> None:
    receiver.answer_with(Answer(status, body=b""))
    async with small_office.sending():
        await small_office.add(receiver.url, 10)
        await small_office.until_sent()
    assert await small_office.states() == ["delivered"]


@pytest.mark.parametrize("status", [400, 404, 410, 429, 500, 503])
async def test_any_other_answer_is_tried_again(
    small_office: Office, receiver: CallbackReceiver, status: int
) -> None:
    receiver.answer_with(Answer(status), Answer(status), Answer())
    async with small_office.sending():
        id_ = await small_office.add(receiver.url, 10)
        await small_office.until_sent()
    assert (await small_office.row(id_)).attempts == 3
    assert len({got.headers["webhook-id"] for got in receiver.received}) == 1


@pytest.mark.parametrize("fault", ["huge", "endless_body", "cut_body"])
async def test_an_answer_is_read_no_further_than_need_be(
    small_office: Office,
    receiver: CallbackReceiver,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    monkeypatch.setattr(posting, "ANSWER_TIMEOUT_S", 0.2)
    receiver.answer_with(Answer(fault=fault))
    async with small_office.sending():
        await small_office.add(receiver.url, 10)
        await small_office.until_sent()
        assert await small_office.states() == ["delivered"]
        await until(lambda: receiver.open_count == 0)
    assert receiver.sent_bytes < 20_000_000  # what fits into the buffers of a loopback socket


@pytest.mark.parametrize("fault", ["hold", "drip"])
async def test_a_peer_that_hangs_is_cut(
    small_office: Office, receiver: CallbackReceiver, fault: str
) -> None:
    receiver.answer_with(Answer(fault=fault))
    async with small_office.sending(timeout_s=0.2):
        id_ = await small_office.add(receiver.url, 10)

        async def cut() -> CallbackRow | None:
            row = await small_office.row(id_)
            return row if "no answer within" in (row.last_error or "") else None

        row = await until(cut)  # on a slow machine connecting may have taken so long before
        await until(lambda: receiver.open_count < receiver.connections_count)
    assert (row.state, row.last_status) == ("pending", None)


async def test_an_answer_cut_in_its_head_is_a_failure(
    small_office: Office, receiver: CallbackReceiver
) -> None:
    receiver.answer_with(Answer(fault="cut"), Answer())
    async with small_office.sending(retry=LATER):
        row = await small_office.until_attempts(await small_office.add(receiver.url, 10), 1)
        assert "broke" in row.last_error
        await small_office.pass_time(hours=2)
        await small_office.until_sent()
    assert len(receiver.received) == 2


@pytest.mark.parametrize(
    ("asked", "delay_s"),
    [
        ("120", 120),
        ("999999", 3600),
        ("-5", 2),
        ("nonsense", 2),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", 2),
        ("0", 2),
    ],
)
async def test_retry_after_is_obeyed_within_bounds(
    office: Office, receiver: CallbackReceiver, asked: str, delay_s: float
) -> None:
    receiver.answer_with(Answer(429, {"Retry-After": asked}))
    before = datetime.now(UTC)
    async with office.sending(retry=Backoff(first_s=2, max_s=2, jitter=0)):
        row = await office.until_attempts(await office.add(receiver.url, 10), 1)
    delay = timedelta(seconds=delay_s)
    assert before + delay - A_TICK <= row.next_at <= datetime.now(UTC) + delay + A_TICK
    assert row.last_status == 429


async def test_retry_after_may_be_a_date(small_office: Office, receiver: CallbackReceiver) -> None:
    before = datetime.now(UTC)
    at = before.replace(microsecond=0) + timedelta(seconds=300)
    receiver.answer_with(Answer(503, {"Retry-After": format_datetime(at, usegmt=True)}))
    async with small_office.sending(retry=Backoff(first_s=1, max_s=1)):
        row = await small_office.until_attempts(await small_office.add(receiver.url, 10), 1)
    took = datetime.now(UTC) - before  # what the attempt took is added to it
    assert at - A_TICK <= row.next_at <= at + took + A_TICK


async def test_delays_grow_from_a_second_to_ten_minutes_and_are_spread(
    small_office: Office, receiver: CallbackReceiver
) -> None:
    assert (RETRY.first_s, RETRY.max_s, RETRY.factor, RETRY.jitter) == (1.0, 600.0, 2.0, 0.3)
    receiver.answer_with(Answer(500))
    delays = []
    # a hundred times as long: no delay is over before it is looked at
    async with small_office.sending(retry=Backoff(100.0, 60_000.0, RETRY.factor, RETRY.jitter)):
        before = datetime.now(UTC)
        id_ = await small_office.add(receiver.url, 10)
        for attempts in range(1, 14):
            row = await small_office.until_attempts(id_, attempts)
            delays.append((row.next_at - before, row.next_at - datetime.now(UTC)))
            before = datetime.now(UTC)
            async with small_office.database.write() as session:  # a day has room for these
                values = {"next_at": before, "expires_at": before + timedelta(days=1)}
                await session.execute(update(CallbackRow).values(values))
    for number, (at_most, at_least) in enumerate(delays):
        full = timedelta(seconds=100 * min(2.0**number, 600.0))
        assert 0.7 * full - A_TICK <= at_most
        assert at_least <= full + A_TICK


async def test_after_a_day_a_callback_is_dead_once_and_said_so(
    office: Office, receiver: CallbackReceiver
) -> None:
    receiver.answer_with(Answer(500))
    with structlog.testing.capture_logs() as logs:
        async with office.sending(retry=LATER):
            id_ = await office.add(receiver.url, 100, is_final=True, job_id=7)
            assert (await office.until_attempts(id_, 1)).state == "pending"
            await office.pass_time(hours=23)
            assert (await office.until_attempts(id_, 2)).state == "pending"
            await office.pass_time(hours=2)
            assert (await office.until_attempts(id_, 3)).state == "dead"
            follower = await office.add(receiver.url, 100, is_final=True)
            await office.until_attempts(follower, 1)
    given_up = [one for one in logs if one["action"] == "callback.dead"]
    assert [(one["log_level"], one["job_id"], one["attempts"]) for one in given_up] == [
        ("error", 7, 3)
    ]
    assert (await office.callbacks.counts()).by_state["dead"] == 1


async def test_a_dead_callback_sent_again_by_hand_arrives(
    office: Office, receiver: CallbackReceiver
) -> None:
    receiver.answer_with(Answer(500), Answer())
    async with office.sending(retry=LATER):
        id_ = await office.add(receiver.url, 100, is_final=True)
        await office.until_attempts(id_, 1)
        await office.pass_time(hours=25)
        await office.until_sent()
        for _ in range(2):  # the second time it is a delivered one
            await office.callbacks.redeliver(id_, by="tests")
            await office.until_sent()
            assert (await office.row(id_)).state == "delivered"
    assert len({got.headers["webhook-id"] for got in receiver.received}) == 1


async def test_no_secret_reaches_a_row_or_a_log(
    small_office: Office, receiver: CallbackReceiver
) -> None:
    receiver.answer_with(
        Answer(302, {"Location": "http://u:hush@x/?token=hush"}),
        Answer(500, body=b"hush"),
        Answer(fault="cut"),
    )
    with structlog.testing.capture_logs() as logs:
        async with small_office.sending(secret=SECRET):
            id_ = await small_office.add(receiver.url + "?token=hush", 10)
            for attempts in (1, 2, 3):
                row = await small_office.until_attempts(id_, attempts)
                assert "hush" not in row.last_error
            await receiver.stop()
            row = await small_office.until_attempts(id_, row.attempts + 2)
            assert "hush" not in row.last_error
    assert logs
    assert "hush" not in str(logs)
    assert SECRET not in str(logs)


async def test_a_host_taken_off_the_list_gets_nothing_more(
    small_office: Office, receiver: CallbackReceiver
) -> None:
    id_ = await small_office.add(receiver.url, 10)
    async with small_office.sending(targets=CallbackTargets("http://backend:8000"), retry=LATER):
        row = await small_office.until_attempts(id_, 1)
    assert (row.state, receiver.connections_count) == ("pending", 0)
    assert "not be sent to this host" in row.last_error


async def test_a_crash_between_sending_and_noting_sends_the_same_id_again(
    office: Office, receiver: CallbackReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "STOP_S", 0.0)
    sent, noting = asyncio.Event(), queries.update_state

    async def never(*_: object) -> int:
        sent.set()
        await asyncio.Event().wait()  # until killed
        return 0

    await office.add(receiver.url, 100, is_final=True)
    monkeypatch.setattr(sender_module.queries, "update_state", never)
    async with office.sending():
        await sent.wait()
    assert await office.states() == ["pending"]
    monkeypatch.setattr(sender_module.queries, "update_state", noting)
    async with office.sending():
        await office.until_sent()
    ids = [got.headers["webhook-id"] for got in receiver.received]
    assert len(ids) == 2
    assert len(set(ids)) == 1


async def test_a_stop_lets_a_running_request_end(
    small_office: Office, receiver: CallbackReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "STOP_S", 60.0)
    receiver.answer_with(Answer(fault="hold"))
    async with small_office.sending():
        await small_office.add(receiver.url, 10)
        await until(lambda: receiver.in_progress_count)
        asyncio.get_running_loop().call_later(0.1, receiver.release)
    assert await small_office.states() == ["delivered"]


async def test_a_stop_cuts_a_request_that_does_not_end_and_loses_nothing(
    small_office: Office, receiver: CallbackReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "STOP_S", 0.1)
    receiver.answer_with(Answer(fault="hold"), Answer())
    async with small_office.sending():
        await small_office.add(receiver.url, 10)
        await until(lambda: receiver.in_progress_count)
    (row,) = await small_office.rows()
    assert (row.state, row.attempts) == ("pending", 0)
    async with small_office.sending():
        await small_office.until_sent()
    assert len(receiver.received) == 2


async def test_a_nudge_sends_at_once_and_a_lost_one_costs_an_interval(
    small_office: Office, receiver: CallbackReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "INTERVAL_S", 10 * WITHIN_S)
    async with small_office.sending():
        await small_office.add(receiver.url, 10)
        await small_office.until_sent()
    monkeypatch.setattr(sender_module, "INTERVAL_S", 0.02)
    monkeypatch.setattr(small_office.callbacks, "_notify", lambda: None)
    async with small_office.sending():
        await small_office.add(receiver.url, 25)
        await small_office.until_sent()
    assert len(receiver.received) == 2
