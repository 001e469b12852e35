"""Wake-ups reach who listens, and nothing goes wrong where nobody does."""

from __future__ import annotations

from pathlib import Path

from backend.kernel.nudge import NudgeListener, Nudges
from tests.waiting import until


async def _woken(listener: NudgeListener) -> None:
    await until(listener.woken.is_set)


async def test_every_listener_of_the_topic_is_woken_and_no_other(
    nudges: Nudges, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    async with (
        NudgeListener(run, "jobs", "one") as one,
        NudgeListener(run, "jobs", "two") as two,
        NudgeListener(run, "events", "one") as other,
    ):
        nudges.send("jobs")
        await _woken(one)
        await _woken(two)
        assert not other.woken.is_set()
        nudges.send("events")
        await _woken(other)


async def test_a_listener_may_come_after_the_sender(nudges: Nudges, tmp_path: Path) -> None:
    nudges.send("jobs")
    async with NudgeListener(tmp_path / "run", "jobs", "late") as listener:
        nudges.send("jobs")
        await _woken(listener)


async def test_nobody_a_dead_listener_and_rubbish_are_no_error(
    nudges: Nudges, tmp_path: Path, unused_udp_port: int
) -> None:
    nudges.send("jobs")
    folder = tmp_path / "run" / "nudge"
    folder.mkdir(parents=True)
    (folder / "jobs.dead.port").write_text(str(unused_udp_port))
    (folder / "jobs.odd.port").write_text("not a port")
    (folder / "jobs.big.port").write_text("99999999")
    async with NudgeListener(tmp_path / "run", "jobs", "alive") as listener:
        for _ in range(3):
            nudges.send("jobs")
        await _woken(listener)


async def test_a_listener_takes_its_note_away(nudges: Nudges, tmp_path: Path) -> None:
    async with NudgeListener(tmp_path / "run", "jobs", "one"):
        assert list((tmp_path / "run" / "nudge").iterdir())
    assert not list((tmp_path / "run" / "nudge").iterdir())


async def test_where_no_note_can_be_written_it_listens_unasked(tmp_path: Path) -> None:
    (tmp_path / "run").write_text(
        "a file where the folder should be: a write fails, as on a full disk"
    )
    async with NudgeListener(tmp_path / "run", "jobs", "one") as listener:
        assert not listener.woken.is_set()
