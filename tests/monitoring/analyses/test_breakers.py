"""A model that cannot answer is left alone by everybody, and asked again by one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, update

from backend.kernel.db import Database, utc_after, utc_now
from backend.monitoring.analyses import breakers as module
from backend.monitoring.analyses.breakers import LONGEST_HINT_S, PROBE_S, Admission, Breakers
from backend.monitoring.analyses.tables import ModelBreakerRow

GEMINI = "gemini"
USUAL_PAUSE = module.PAUSE
FREE, ON_TRIAL = Admission(), Admission(on_trial=True)


@pytest.fixture(autouse=True)
def pauses_outlast_a_slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred times longer, so that none is over before it is looked at."""
    longer = replace(USUAL_PAUSE, first_s=100 * USUAL_PAUSE.first_s, max_s=100 * USUAL_PAUSE.max_s)
    monkeypatch.setattr(module, "PAUSE", longer)


@pytest.fixture
def breakers(database: Database) -> Breakers:
    return Breakers(database)


async def fail(breakers: Breakers, backend: str = GEMINI, **facts: Any) -> float:
    values: dict[str, Any] = {"hint_s": None, "is_lasting": False} | facts
    return await breakers.failed(backend, "rate_limited", "too many questions", **values)


async def left_s(database: Database) -> float | None:
    """Seconds for which the breaker is open yet, by the database's clock."""
    async with database.read() as session:
        until, now = (await session.execute(select(ModelBreakerRow.open_until, utc_now()))).one()
    return None if until is None else (until - now).total_seconds()


async def run_out(database: Database) -> None:
    """Let the pause be over."""
    async with database.write() as session:
        await session.execute(update(ModelBreakerRow).values(open_until=utc_after(-0.5)))


async def test_a_model_that_never_failed_may_be_asked(breakers: Breakers) -> None:
    assert await breakers.admit(GEMINI) == FREE
    await breakers.succeeded(GEMINI)
    assert await breakers.views() == {}


async def test_a_hint_of_the_server_is_obeyed_at_once(
    database: Database, breakers: Breakers
) -> None:
    assert await fail(breakers, hint_s=300.0) == pytest.approx(300, abs=0.01)
    admission = await breakers.admit(GEMINI)
    assert 240 < admission.wait_s <= 300
    assert not admission.on_trial
    assert 240 < (await left_s(database) or 0) <= 300
    assert await breakers.admit("openai") == FREE


async def test_a_hint_of_days_is_cut_to_an_hour(breakers: Breakers) -> None:
    assert await fail(breakers, hint_s=1e6) == pytest.approx(LONGEST_HINT_S, abs=0.01)


async def test_the_third_failure_in_a_row_leaves_the_model_alone(breakers: Breakers) -> None:
    for _ in range(2):
        assert await fail(breakers) == 0
        assert await breakers.admit(GEMINI) == FREE
    pause_s = await fail(breakers)
    assert 300 <= pause_s <= 500
    assert 0 < (await breakers.admit(GEMINI)).wait_s <= 500


async def test_a_success_between_failures_begins_the_count_anew(breakers: Breakers) -> None:
    for _ in range(2):
        await fail(breakers)
    await breakers.succeeded(GEMINI)
    for _ in range(2):
        await fail(breakers)
    assert await breakers.admit(GEMINI) == FREE


async def test_failures_that_come_at_the_same_time_are_all_counted(database: Database) -> None:
    pools = [Database(database.url) for _ in range(3)]
    ready = asyncio.Barrier(3)

    async def one(pool: Database) -> None:
        await ready.wait()
        await fail(Breakers(pool))

    async with asyncio.timeout(120):
        await asyncio.gather(*(one(pool) for pool in pools))
    for pool in pools:
        await pool.close()
    (view,) = (await Breakers(database).views()).values()
    assert (view.failures, view.is_open) == (3, True)


async def test_a_wrong_key_is_left_alone_at_the_first_failure(
    breakers: Breakers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE", USUAL_PAUSE)
    pause_s = await breakers.failed(
        GEMINI, "unauthorised", "the key is wrong", hint_s=None, is_lasting=True
    )
    assert pause_s >= 30 - 0.01
    assert (await breakers.admit(GEMINI)).wait_s > 0


@pytest.fixture
async def workers(database: Database) -> AsyncIterator[list[Breakers]]:
    """Twelve workers on four pools of connections."""
    pools = [Database(database.url) for _ in range(4)]
    yield [Breakers(pools[n % 4]) for n in range(12)]
    for pool in pools:
        await pool.close()


async def test_one_alone_is_let_through_when_the_pause_is_over(
    database: Database, workers: list[Breakers]
) -> None:
    await fail(workers[0], hint_s=300.0)
    await run_out(database)
    ready = asyncio.Barrier(len(workers))

    async def ask(worker: Breakers) -> Admission:
        await ready.wait()
        return await worker.admit(GEMINI)

    async with asyncio.timeout(120):
        answers = await asyncio.gather(*(ask(worker) for worker in workers))
    assert answers.count(ON_TRIAL) == 1
    assert all(0 < answer.wait_s <= PROBE_S for answer in answers if answer != ON_TRIAL)
    later = await workers[1].admit(GEMINI)
    assert PROBE_S / 2 < later.wait_s <= PROBE_S


async def test_a_question_on_trial_of_which_nothing_is_heard_is_followed_by_another(
    database: Database, breakers: Breakers
) -> None:
    await fail(breakers, hint_s=300.0)
    for _ in range(2):
        await run_out(database)
        assert await breakers.admit(GEMINI) == ON_TRIAL


async def test_success_on_trial_closes_the_breaker(database: Database, breakers: Breakers) -> None:
    for _ in range(3):
        await fail(breakers)
    await run_out(database)
    assert await breakers.admit(GEMINI) == ON_TRIAL
    await breakers.succeeded(GEMINI)
    assert await breakers.views() == {}
    assert [await breakers.admit(GEMINI) for _ in range(3)] == [FREE] * 3


async def test_failure_on_trial_leaves_the_model_alone_for_longer_each_time(
    database: Database, breakers: Breakers
) -> None:
    for _ in range(2):
        await fail(breakers)
    pauses = [await fail(breakers)]
    for _ in range(4):
        await run_out(database)
        assert await breakers.admit(GEMINI) == ON_TRIAL
        pauses.append(await fail(breakers))
        assert (await breakers.admit(GEMINI)).wait_s == pytest.approx(pauses[-1], abs=60)
    for pause_s, full_s in zip(pauses, (500, 1000, 2000, 4000, 8000), strict=True):
        assert 0.69 * full_s <= pause_s <= full_s
    assert pauses == sorted(pauses)


async def test_a_hint_on_trial_is_obeyed_too(database: Database, breakers: Breakers) -> None:
    await fail(breakers, hint_s=600.0)
    await run_out(database)
    assert await breakers.admit(GEMINI) == ON_TRIAL
    assert await fail(breakers, hint_s=2.0) == pytest.approx(2, abs=0.01)
    assert (await breakers.admit(GEMINI)).wait_s <= 2


async def test_an_early_failure_on_trial_does_not_let_everybody_in(
    database: Database, breakers: Breakers
) -> None:
    """The second failure ever: too few to open a breaker, but this one was open."""
    await fail(breakers, hint_s=300.0)
    await run_out(database)
    assert await breakers.admit(GEMINI) == ON_TRIAL
    assert await fail(breakers) > PROBE_S / 2
    assert (await breakers.admit(GEMINI)).wait_s > PROBE_S / 2


async def test_a_straggler_does_not_cut_a_hint_short(
    breakers: Breakers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE", USUAL_PAUSE)
    await fail(breakers, hint_s=600.0)
    for _ in range(4):  # asked before the hint was given, answered after it
        assert await fail(breakers) > 500
    assert await fail(breakers, hint_s=5.0) > 500
    assert await fail(breakers, hint_s=900.0) == pytest.approx(900, abs=0.01)


async def test_what_failed_is_shown_with_its_reason(database: Database) -> None:
    breakers = Breakers(database)
    await breakers.failed(GEMINI, "rate_limited", "slow down " * 100, hint_s=300, is_lasting=False)
    await breakers.failed("openai", "unreachable", "nobody answers", hint_s=None, is_lasting=False)
    views = await breakers.views()
    assert (views[GEMINI].is_open, views[GEMINI].failures) == (True, 1)
    assert (views[GEMINI].code, len(views[GEMINI].reason)) == ("rate_limited", 500)
    openai = views["openai"]
    assert (openai.is_open, openai.open_until, openai.code) == (False, None, "unreachable")
    await run_out(database)
    assert not (await breakers.views())[GEMINI].is_open


async def test_an_answer_to_what_was_asked_before_a_hint_does_not_cut_it_short(
    breakers: Breakers,
) -> None:
    asked_at = (await breakers.admit(GEMINI)).asked_at
    assert asked_at is not None
    await asyncio.sleep(0.002)  # SQLite's time is to the millisecond
    await fail(breakers, hint_s=600.0)
    await breakers.succeeded(GEMINI, asked_at=asked_at)
    assert (await breakers.admit(GEMINI)).wait_s > 500
    await breakers.succeeded(GEMINI, asked_at=await breakers.now())
    assert await breakers.admit(GEMINI) == FREE


async def test_an_answer_on_trial_closes_the_breaker_whatever_failed_meanwhile(
    database: Database, breakers: Breakers
) -> None:
    await fail(breakers, hint_s=30.0)
    await run_out(database)
    admission = await breakers.admit(GEMINI)
    assert admission == ON_TRIAL
    await fail(breakers)  # asked long before
    await breakers.succeeded(GEMINI, asked_at=admission.asked_at)
    assert await breakers.admit(GEMINI) == FREE


async def test_a_hint_of_no_time_is_none_and_the_third_failure_counts(breakers: Breakers) -> None:
    for _ in range(2):
        assert await fail(breakers, hint_s=0.0) == 0
        assert await breakers.admit(GEMINI) == FREE
    assert await fail(breakers, hint_s=0.0) > 0
    assert (await breakers.admit(GEMINI)).wait_s > 0
