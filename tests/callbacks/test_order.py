"""Whatever fails meanwhile: progress never goes backwards, and the last word arrives last."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.callbacks import sender as sender_module
from backend.callbacks.tables import CallbackRow
from backend.kernel.retry import Backoff
from tests.callbacks.office import Office
from tests.peers.callback_receiver import Answer, CallbackReceiver, Received
from tests.waiting import until

LATER = Backoff(first_s=3600, max_s=3600, jitter=0)
AT_ONCE = Backoff(first_s=0.001, max_s=0.005)
SUBJECTS = ("job-1", "job-2")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["progress", "result"]), st.sampled_from(SUBJECTS)),
        st.sampled_from([("let one arrive", ""), ("restart", ""), ("go away", ""), ("back", "")]),
    ),
    min_size=1,
    max_size=14,
)
ANSWERS = st.lists(
    st.sampled_from(
        [
            Answer(),
            Answer(500),
            Answer(429, {"Retry-After": "0"}),
            Answer(delay_s=0.02),
            Answer(500, delay_s=0.02),
            Answer(fault="cut"),
        ]
    ),
    max_size=20,
)


class _Course:
    """One course of events: what was added, and what the receiver saw of it."""

    def __init__(self, office: Office, receiver: CallbackReceiver) -> None:
        self.office, self.receiver = office, receiver
        self.added: dict[str, list[tuple[int, bool]]] = defaultdict(list)
        self.number = 0

    async def run(self, steps: list[tuple[str, str]], answers: list[Answer]) -> None:
        """Do the steps while callbacks are sent, then let everything arrive."""
        self.receiver.answer_with(*answers, Answer())
        todo, is_to_restart = list(steps), True
        while is_to_restart:
            is_to_restart = False
            async with self.office.sending(retry=AT_ONCE):
                while todo and not is_to_restart:
                    step, subject = todo.pop(0)
                    is_to_restart = step == "restart"
                    await self._do(step, subject)
                if not is_to_restart:
                    await self._do("back", "")
                    await self.office.until_sent()

    async def _do(self, step: str, subject: str) -> None:
        match step:
            case "progress" | "result":
                self.number += 1
                is_final = step == "result"
                self.added[subject].append((self.number, is_final))
                await self.office.add(
                    self.receiver.url, self.number, subject=subject, is_final=is_final
                )
            case "let one arrive":
                before = len(self.receiver.received)

                async def has_arrived() -> bool:
                    is_more = len(self.receiver.received) > before
                    is_away = self.receiver.is_away
                    return is_more or is_away or "pending" not in await self.office.states()

                await until(has_arrived)
            case "go away":
                await self.receiver.stop()
            case "back":
                if self.receiver.is_away:
                    await self.receiver.start()

    def check(self) -> None:
        """Each subject's messages came in order, its results all, its last word last."""
        for subject, added in self.added.items():
            seen = [one for one in self.receiver.received if one.json["job_id"] == subject]
            numbers = [one.json["progress"] for one in seen]
            taken = [one.json["progress"] for one in seen if one.answered == 200]
            assert numbers == sorted(numbers)
            assert {number for number, is_final in added if is_final} <= set(taken)
            assert taken[-1] == numbers[-1] == added[-1][0]


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS, answers=ANSWERS)
async def test_the_receiver_sees_each_job_in_order_and_its_last_word_last(
    office: Office, monkeypatch: pytest.MonkeyPatch, steps: Any, answers: list[Answer]
) -> None:
    monkeypatch.setattr(sender_module, "STOP_S", 0.0)  # a restart is a kill
    async with office.database.write() as session:
        await session.execute(CallbackRow.__table__.delete())
    async with CallbackReceiver() as receiver:
        course = _Course(office, receiver)
        await course.run(steps, answers)
        course.check()
    assert await _unfinished(office) == []


async def _unfinished(office: Office) -> list[str]:
    """Results that were not delivered."""
    return [r.state for r in await office.rows() if r.kind == "result" and r.state != "delivered"]


async def test_nothing_is_sent_while_something_older_of_its_job_is_on_its_way(
    office: Office, receiver: CallbackReceiver
) -> None:
    async with office.sending():
        await office.meet(receiver)
        receiver.answer_with(Answer(fault="hold"), Answer())
        await office.add(receiver.url, 10)
        await until(lambda: receiver.in_progress_count)
        await office.add(receiver.url, 25)
        await office.add(receiver.url, 100, is_final=True)
        await office.add(receiver.url, 10, subject="job-2")
        await until(lambda: len(receiver.received) == 2)
        assert receiver.bodies[1]["job_id"] == "job-2"
        receiver.release()
        await office.until_sent()
    ours = [body["progress"] for body in receiver.bodies if body["job_id"] == "job-1"]
    assert ours == [10, 100]
    assert await office.states() == ["superseded", "superseded", "delivered", "delivered"]


async def test_a_result_in_trouble_holds_back_what_follows_and_a_dead_one_does_not(
    office: Office, receiver: CallbackReceiver
) -> None:
    def refuse_first(received: Received) -> Answer:
        return Answer(500 if received.json["progress"] == 40 else 200)

    receiver.answer_by(refuse_first)
    async with office.sending(retry=LATER):
        first = await office.add(receiver.url, 40, is_final=True)
        await office.until_attempts(first, 1)
        await office.add(receiver.url, 100, is_final=True)
        other = await office.add(receiver.url, 100, subject="job-2", is_final=True)
        await office.until_attempts(other, 1)
        assert [body["progress"] for body in receiver.bodies] == [40, 100]
        await office.pass_time(hours=25)
        await office.until_sent()
    assert [body["progress"] for body in receiver.bodies] == [40, 100, 40, 100]
    assert await office.states() == ["dead", "delivered", "delivered"]


async def test_two_senders_by_mistake_lose_nothing_and_mark_once(
    office: Office, receiver: CallbackReceiver
) -> None:
    async with office.sending(), office.sending():
        for number in range(20):
            await office.add(receiver.url, number, subject=f"job-{number % 5}", is_final=True)
        await office.until_sent()
    assert await office.states() == ["delivered"] * 20
    assert all(row.attempts == 1 for row in await office.rows())
    assert len({got.headers["webhook-id"] for got in receiver.received}) == 20
