"""Receivers and databases that are away: nothing is lost, and nobody else waits."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
import structlog
from sqlalchemy.exc import OperationalError

from backend.callbacks import queries
from backend.callbacks import sender as sender_module
from backend.callbacks.sender import PER_HOST, PLACES, WHILE_SILENT
from backend.kernel.retry import Backoff
from tests.callbacks.office import Office
from tests.peers.callback_receiver import Answer, CallbackReceiver, Received
from tests.waiting import until

LATER = Backoff(first_s=3600, max_s=3600, jitter=0)


async def test_after_an_outage_of_the_receiver_everything_arrives(
    office: Office, receiver: CallbackReceiver
) -> None:
    await receiver.stop()
    jobs = [f"job-{number}" for number in range(12)]
    async with office.sending():
        for progress in (10, 25):
            for job in jobs:
                await office.add(receiver.url, progress, subject=job)
        for job in jobs[:6]:
            await office.add(receiver.url, 100, subject=job, is_final=True)
        first = next(row.id for row in await office.rows() if row.state == "pending")
        assert "cannot be reached" in (await office.until_attempts(first, 2)).last_error
        await receiver.start()
        await office.until_sent()
    expected = dict.fromkeys(jobs[:6], 100) | dict.fromkeys(jobs[6:], 25)
    assert {body["job_id"]: body["progress"] for body in receiver.bodies} == expected
    assert len(receiver.received) == len(jobs)


async def test_a_host_that_hangs_takes_its_places_and_no_more(
    office: Office, receiver: CallbackReceiver
) -> None:
    async with CallbackReceiver() as other, office.sending():
        await office.meet(receiver)
        receiver.answer_with(Answer(fault="hold"))
        for number in range(40):
            await office.add(receiver.url, 10, subject=f"slow-{number}")
        await until(lambda: receiver.in_progress_count == PER_HOST)
        for number in range(20):
            await office.add(other.url, 10, subject=f"quick-{number}")
        await until(lambda: len(other.received) == 20)
        assert receiver.most_in_progress_count == PER_HOST
        assert [got.answered for got in receiver.received] == [None] * PER_HOST
        receiver.release()
        await office.until_sent()


async def test_many_dead_hosts_keep_no_other_waiting(small_office: Office) -> None:
    async with AsyncExitStack() as stack:
        dead = [await stack.enter_async_context(CallbackReceiver()) for _ in range(6)]
        alive = await stack.enter_async_context(CallbackReceiver())
        for host in dead:
            host.answer_with(Answer(fault="hold"))
            for number in range(10):
                await small_office.add(host.url, 10, subject=f"{host.origin} {number}")
        assert PER_HOST * len(dead) > PLACES
        await stack.enter_async_context(small_office.sending())
        many = WHILE_SILENT * len(dead)
        await until(lambda: sum(host.in_progress_count for host in dead) == many)
        for number in range(10):
            await small_office.add(alive.url, 10, subject=f"alive {number}")
        await until(lambda: len(alive.received) == 10)
        assert [len(host.received) for host in dead] == [WHILE_SILENT] * len(dead)
        for host in dead:
            host.release()
        await small_office.until_sent()


async def test_hosts_that_hang_in_all_places_give_way_to_the_next_in_turn(
    small_office: Office,
) -> None:
    async with AsyncExitStack() as stack:
        hosts = [await stack.enter_async_context(CallbackReceiver()) for _ in range(PLACES + 1)]
        *dead, alive = sorted(hosts, key=lambda host: host.origin)
        for host in dead:
            host.answer_with(Answer(fault="hold"))
            for number in range(3):
                await small_office.add(host.url, 10, subject=f"{host.origin} {number}")
        await stack.enter_async_context(small_office.sending(timeout_s=0.5))
        await until(lambda: sum(len(host.received) for host in dead) >= PLACES)
        await small_office.add(alive.url, 10, subject="alive")
        await until(lambda: alive.received)
        for host in dead:
            host.release()
        await small_office.until_sent()


async def test_a_host_that_hangs_is_asked_by_two_at_a_time_until_it_answers(
    small_office: Office, receiver: CallbackReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with small_office.sending() as sender:
        await small_office.meet(receiver)
        monkeypatch.setattr(sender._poster, "_timeout_s", 0.2)
        receiver.answer_with(Answer(fault="hold"))
        for number in range(10):
            await small_office.add(receiver.url, 10, subject=f"job-{number}")
        await until(lambda: len(receiver.received) > PER_HOST)  # so that one has been cut
        receiver.most_in_progress_count = 0
        before = len(receiver.received)
        await until(lambda: len(receiver.received) > before + PER_HOST)
        assert receiver.most_in_progress_count <= WHILE_SILENT
        monkeypatch.setattr(sender._poster, "_timeout_s", 60.0)
        receiver.answer_with(Answer())
        await small_office.until_sent()


async def test_a_request_that_hangs_while_another_is_cut_holds_up_no_third(
    small_office: Office, receiver: CallbackReceiver
) -> None:
    def by_job(received: Received) -> Answer:
        faults = {"hangs": "hold", "is cut": "cut"}
        return Answer(fault=faults.get(received.json["job_id"]))

    async with small_office.sending(retry=LATER):
        await small_office.meet(receiver)
        receiver.answer_by(by_job)
        await small_office.add(receiver.url, 10, subject="hangs")
        await until(lambda: receiver.in_progress_count == 1)
        cut = await small_office.add(receiver.url, 10, subject="is cut")
        await small_office.until_attempts(cut, 1)  # by which the host counts as silent
        await small_office.add(receiver.url, 10, subject="third")
        await until(lambda: receiver.bodies[-1]["job_id"] == "third")
        receiver.release()


async def test_callbacks_of_before_the_databases_clock_was_set_back_are_sent(
    office: Office, receiver: CallbackReceiver
) -> None:
    for number in range(3):
        await office.add(receiver.url, number, subject=f"job-{number}")
    await office.pass_time(hours=-6)
    async with office.sending():
        await office.until_sent()
    assert {body["progress"] for body in receiver.bodies} == {0, 1, 2}


async def test_a_callback_that_its_host_put_off_is_not_hurried(
    office: Office, receiver: CallbackReceiver
) -> None:
    receiver.answer_with(Answer(429, {"Retry-After": "999999"}), Answer())
    async with CallbackReceiver() as other, office.sending():
        put_off = await office.add(receiver.url, 10, subject="put off")
        await office.until_attempts(put_off, 1)
        await office.pass_time(seconds=-30)  # a step of the clock, but a small one
        for number in range(5):  # each is a look at both hosts
            await office.add(other.url, number)
            await until(lambda number=number: len(other.received) > number)
    assert len(receiver.received) == 1


async def test_long_bodies_go_one_by_one_and_short_ones_pass_them(
    small_office: Office, receiver: CallbackReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "LONG_BYTES", 1000)
    async with small_office.sending():
        await small_office.meet(receiver)
        receiver.answer_with(Answer(fault="hold"), Answer())
        for number in range(3):
            body = {"text": "x" * 2000, "number": number}
            await small_office.add(receiver.url, 100, subject=f"long-{number}", body=body)
        await until(lambda: receiver.in_progress_count)
        for number in range(5):
            await small_office.add(receiver.url, 10, subject=f"short-{number}")
        await until(lambda: len(receiver.received) == 6)
        assert sum("text" in body for body in receiver.bodies) == 1
        receiver.release()
        await small_office.until_sent()
    assert [body["number"] for body in receiver.bodies if "text" in body] == [0, 1, 2]


class _Away:
    """Makes a query fail as when the database is away."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        self.is_away = True
        self.tries = 0
        real = getattr(queries, name)

        def query(*arguments: object, **more: object) -> object:
            self.tries += 1
            if self.is_away:
                raise OperationalError("SELECT", {}, Exception("gone away"))
            return real(*arguments, **more)

        monkeypatch.setattr(sender_module.queries, name, query)


@pytest.mark.parametrize("name", ["next_host", "due", "select_body"])
async def test_the_sender_waits_for_a_database_that_is_away(
    small_office: Office, receiver: CallbackReceiver, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    database = _Away(monkeypatch, name)
    with structlog.testing.capture_logs() as logs:
        async with small_office.sending():
            await small_office.add(receiver.url, 10)
            await until(lambda: database.tries > 3)
            assert receiver.received == []
            database.is_away = False
            await small_office.until_sent()
    assert len(receiver.received) == 1
    actions = [one["action"] for one in logs]
    assert "service.failed" not in actions
    assert actions[:1] == ["callback.db_down"]


async def test_what_was_sent_is_noted_when_the_database_is_back_and_not_sent_twice(
    small_office: Office, receiver: CallbackReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = _Away(monkeypatch, "update_state")
    await small_office.add(receiver.url, 10)
    async with small_office.sending():
        await until(lambda: database.tries > 3)
        assert await small_office.states() == ["pending"]
        database.is_away = False
        await small_office.until_sent()
    assert len(receiver.received) == 1


async def test_one_callback_that_cannot_be_sent_stops_no_other(
    small_office: Office, receiver: CallbackReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with small_office.sending() as sender:
        real = sender._poster.post

        async def failing(url: str, body: bytes, *rest: object, **more: object) -> object:
            if b"poison" in body:
                raise RuntimeError("a bug")
            return await real(url, body, *rest, **more)

        monkeypatch.setattr(sender._poster, "post", failing)
        bad = await small_office.add(receiver.url, 10, subject="poison")
        good = await small_office.add(receiver.url, 10, subject="good")
        await small_office.until_attempts(bad, 3)
        assert (await small_office.until_attempts(good, 1)).state == "delivered"
        assert (await small_office.row(bad)).last_error == "an internal error; the log has it"


async def test_a_silent_host_is_said_once_and_its_return_too(
    small_office: Office, receiver: CallbackReceiver
) -> None:
    await receiver.stop()
    with structlog.testing.capture_logs() as logs:
        async with small_office.sending():
            id_ = await small_office.add(receiver.url, 10)
            await small_office.until_attempts(id_, 4)
            await receiver.start()
            await small_office.until_sent()
    actions = [one["action"] for one in logs if one["log_level"] != "debug"]
    assert sorted(actions) == ["callback.failed", "callback.host_back", "callback.host_silent"]
