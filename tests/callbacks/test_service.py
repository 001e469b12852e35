"""Adding in the transaction of the cause, superseding, sending again by hand, forgetting."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from backend.callbacks import service as service_module
from backend.callbacks.schemas import CallbackFilter
from backend.callbacks.service import CALLBACKS, MOST_BODY_BYTES, CallbackTooLarge
from backend.callbacks.states import CallbackState
from backend.callbacks.tables import CallbackPieceRow, CallbackRow
from backend.kernel.errors import Conflict, InvalidInput, NotFound
from backend.kernel.nudge import NudgeListener
from tests.callbacks.office import Office
from tests.waiting import until

URL = "http://127.0.0.1:9/api/v1/ml/ml-results"


async def test_a_callback_is_stored_with_its_cause_and_wakes_the_sender(
    office: Office, tmp_path: Path
) -> None:
    async with NudgeListener(tmp_path / "run", CALLBACKS, "test") as nudge:
        id_ = await office.add(URL, 10, job_id=7, trace_id="t-1")
        await until(nudge.woken.is_set)
    row = await office.row(id_)
    assert (row.state, row.kind, row.progress, row.attempts) == ("pending", "progress", 10, 0)
    assert (row.url, row.host, row.job_id, row.trace_id) == (URL, "http://127.0.0.1:9", 7, "t-1")
    assert row.body == '{"job_id":"job-1","status":"processing","progress":10}'
    assert row.size_bytes == len(row.body)
    assert (row.expires_at - row.created_at).total_seconds() == pytest.approx(24 * 3600, abs=5)


async def _add_and_fail(office: Office) -> None:
    async with office.database.write() as session:
        await office.callbacks.add(
            session, url=URL, subject="job-1", body={}, progress=40, is_final=False
        )
        raise RuntimeError("undone")


async def test_a_rolled_back_cause_leaves_no_callback_and_supersedes_nothing(
    office: Office,
) -> None:
    await office.add(URL, 10)
    with pytest.raises(RuntimeError, match="undone"):
        await _add_and_fail(office)
    assert await office.states() == ["pending"]


async def test_newer_progress_and_results_replace_unsent_progress_of_their_subject_alone(
    office: Office,
) -> None:
    await office.add(URL, 10)
    await office.add(URL, 10, subject="job-2")
    await office.add(URL, 25)
    assert await office.states() == ["superseded", "pending", "pending"]
    await office.add(URL, 100, is_final=True)
    assert await office.states() == ["superseded", "pending", "superseded", "pending"]


async def test_a_result_is_never_replaced(office: Office) -> None:
    await office.add(URL, 40, is_final=True)
    await office.add(URL, 10)
    await office.add(URL, 100, is_final=True)
    assert await office.states() == ["pending", "superseded", "pending"]


async def test_a_result_past_50_mb_is_refused_and_changes_nothing(small_office: Office) -> None:
    office = small_office
    await office.add(URL, 75)
    with pytest.raises(CallbackTooLarge) as caught:
        await office.add(URL, 100, is_final=True, body={"text": "x" * MOST_BODY_BYTES})
    assert caught.value.code == "callback_too_large"
    assert await office.states() == ["pending"]


async def test_a_body_is_kept_as_it_is_whatever_is_written_in_it(office: Office) -> None:
    words = "한글 😀 'quoted' \"twice\" \\ \x00 %s %(x)s :bind ?"
    body = {"text": words, "pitch_hz": float("nan"), "half": "\ud83d"}
    id_ = await office.add(URL, 100, is_final=True, body={"text": words, "pitch_hz": float("nan")})
    other = await office.add(URL, 100, is_final=True, body=body)
    assert (await office.callbacks.read(id_)).body.startswith('{"text":"한글 😀')
    assert (await office.callbacks.read(other)).body.isascii()


async def test_a_read_body_is_cut_for_display(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "SHOWN_CHARS", 100)
    short = await office.callbacks.read(await office.add(URL, 10))
    long = await office.callbacks.read(
        await office.add(URL, 10, subject="job-2", body={"text": "한" * 100})
    )
    assert not short.is_body_cut
    assert (long.is_body_cut, len(long.body)) == (True, 100)


async def test_secrets_in_a_url_are_masked_where_it_is_shown(office: Office) -> None:
    id_ = await office.add(URL + "?token=hush", 10)
    assert "hush" not in (await office.callbacks.read(id_)).model_dump_json()
    page = await office.callbacks.page(CallbackFilter(), None, 10)
    assert "hush" not in page.model_dump_json()
    assert (await office.row(id_)).url.endswith("?token=hush")


async def test_a_list_is_filtered_and_paged_newest_first(office: Office) -> None:
    ids = [await office.add(URL, 10, subject=f"job-{n}", job_id=n % 2) for n in range(5)]
    first = await office.callbacks.page(CallbackFilter(), None, 3)
    second = await office.callbacks.page(CallbackFilter(), first.next_cursor, 3)
    assert [one.id for one in (*first.items, *second.items)] == ids[::-1]
    assert second.next_cursor is None
    for wanted, expected in (
        (CallbackFilter(job_id=1), [ids[3], ids[1]]),
        (CallbackFilter(subject="job-2"), [ids[2]]),
        (CallbackFilter(state=(CallbackState.DEAD,)), []),
        (CallbackFilter(host="http://127.0.0.1:9", state=(CallbackState.PENDING,)), ids[::-1]),
        (CallbackFilter(host="http://elsewhere:80"), []),
    ):
        page = await office.callbacks.page(wanted, None, 10)
        assert [one.id for one in page.items] == expected


async def _set(office: Office, id_: int, **values: object) -> None:
    async with office.database.write() as session:
        await session.execute(update(CallbackRow).where(CallbackRow.id == id_).values(**values))


@pytest.mark.parametrize("state", ["delivered", "dead"])
async def test_a_callback_is_sent_again_by_hand_with_a_day_of_its_own(
    office: Office, state: str
) -> None:
    id_ = await office.add(URL, 100, is_final=True)
    await office.pass_time(hours=30)
    await _set(office, id_, state=state, attempts=9, last_error="it did not take it")
    shown = await office.callbacks.redeliver(id_, by="tests")
    assert (shown.state, shown.attempts, shown.delivered_at) == ("pending", 0, None)
    row = await office.row(id_)
    assert (row.expires_at - row.next_at).total_seconds() == pytest.approx(24 * 3600, abs=5)
    assert row.message_id == shown.message_id


async def test_what_is_unsent_superseded_or_outdated_is_not_sent_again(office: Office) -> None:
    with pytest.raises(NotFound):
        await office.callbacks.redeliver(99, by="tests")
    first = await office.add(URL, 10)
    second = await office.add(URL, 25)
    for id_ in (first, second):
        with pytest.raises(Conflict) as caught:
            await office.callbacks.redeliver(id_, by="tests")
        assert caught.value.code == "invalid_state"
    await _set(office, second, state="delivered")
    third = await office.add(URL, 40)
    with pytest.raises(Conflict) as caught:
        await office.callbacks.redeliver(second, by="tests")
    assert caught.value.code == "callback_outdated"
    assert caught.value.detail == {"newest_id": third}


async def test_states_are_counted_and_the_oldest_unsent_has_an_age(office: Office) -> None:
    empty = await office.callbacks.counts()
    assert empty.oldest_pending_age_s is None
    assert set(empty.by_state.values()) == {0}
    await office.add(URL, 10)
    await office.pass_time(hours=2)
    await office.add(URL, 25)
    await office.add(URL, 10, subject="job-2")
    await office.pass_time(hours=1)
    counts = await office.callbacks.counts()
    assert counts.by_state[CallbackState.PENDING] == 2
    assert counts.by_state[CallbackState.SUPERSEDED] == 1
    assert counts.oldest_pending_age_s == pytest.approx(3600, abs=300)


async def test_old_callbacks_are_forgotten_with_their_bodies_but_not_unsent_ones(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "PIECE_CHARS", 10)
    monkeypatch.setattr(service_module, "CLEANUP_BATCH", 1)
    old = [await office.add(URL, 100, subject=f"job-{n}", is_final=True) for n in range(3)]
    await _set(office, old[0], state="delivered")
    await _set(office, old[1], state="dead")
    await office.pass_time(days=10)
    await _set(office, await office.add(URL, 100, subject="new", is_final=True), state="dead")
    assert await office.callbacks.delete_old(older_than_s=9 * 86400) == 2
    assert await office.states() == ["pending", "dead"]
    async with office.database.read() as session:
        piece = CallbackPieceRow
        kept = set((await session.scalars(select(func.distinct(piece.callback_id)))).all())
    assert kept == {row.id for row in await office.rows()}


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://other.example/", "callback_host_refused"),
        ("ftp://127.0.0.1/", "callback_url_wrong"),
        ("http://user:hush@127.0.0.1/", "callback_url_wrong"),
    ],
)
async def test_nothing_is_stored_for_a_target_that_is_refused(
    small_office: Office, url: str, code: str
) -> None:
    await small_office.add(URL, 10)
    with pytest.raises(InvalidInput) as caught:
        await small_office.add(url, 25)
    assert caught.value.code == code
    assert "hush" not in caught.value.message
    assert await small_office.states() == ["pending"]
