"""Child processes are listened to, ended and reaped."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import uvloop

from backend.kernel.db import is_disconnect
from backend.media import process as module
from backend.media.process import MAX_LINE_CHARS, TAIL_LINES, start_process
from tests.media.harness import apart, kill_all, pids_with
from tests.waiting import eventually, until

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def last_lines_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slowly a machine hands them on."""
    monkeypatch.setattr(module, "LAST_LINES_WITHIN_S", 60.0)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


async def talk() -> None:
    lines: list[str] = []
    process = await start_process(
        python("import sys; print(sys.stdin.readline().upper()); print('bye', file=sys.stderr)"),
        stdin="pipe",
        stdout="pipe",
        on_stderr_line=lines.append,
    )
    process.stdin.write(b"hello\n")
    assert (await process.stdout.read()).strip() == b"HELLO"
    assert await process.wait() == 0
    assert lines == process.stderr_tail == ["bye"]


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_child_is_written_to_and_read_from_on_either_event_loop(run) -> None:
    apart(lambda: run(talk()))


async def test_credentials_in_stderr_are_masked_before_anyone_sees_them() -> None:
    lines: list[str] = []
    process = await start_process(
        python("import sys; print('open rtsp://joe:hunter2@cam/1 failed', file=sys.stderr)"),
        on_stderr_line=lines.append,
    )
    await process.wait()
    assert lines == ["open rtsp://***@cam/1 failed"]
    assert process.stderr_tail == lines


async def test_a_child_that_never_ends_its_line_costs_no_memory_and_does_not_block() -> None:
    lines: list[str] = []
    process = await start_process(
        python("import sys; sys.stderr.write('x' * 3_000_000); print('\\ndone', file=sys.stderr)"),
        on_stderr_line=lines.append,
    )
    assert await process.wait() == 0
    assert lines[-1] == "done"
    assert max(map(len, lines)) <= MAX_LINE_CHARS
    assert len(process.stderr_tail) <= TAIL_LINES


async def test_a_child_that_ignores_sigterm_is_killed_and_reaped() -> None:
    lines: list[str] = []
    process = await start_process(
        python(
            "import signal, sys, time; signal.signal(15, signal.SIG_IGN);"
            " print('ready', file=sys.stderr, flush=True); time.sleep(100)"
        ),
        on_stderr_line=lines.append,
    )
    await until(lambda: lines)
    assert await process.terminate(grace_s=0.2) == -signal.SIGKILL
    assert not Path(f"/proc/{process.pid}").exists()


async def test_a_child_that_obeys_sigterm_may_finish() -> None:
    lines: list[str] = []
    process = await start_process(
        python(
            "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(7));"
            " print('ready', file=sys.stderr, flush=True); time.sleep(100)"
        ),
        on_stderr_line=lines.append,
    )
    await until(lambda: lines)
    assert await process.terminate(grace_s=60) == 7
    assert await process.terminate() == 7  # again is harmless


async def test_what_a_child_started_ends_with_it() -> None:
    marker = f"98.{os.getpid()}"
    process = await start_process(["sh", "-c", f"sleep {marker} & sleep {marker}; true"])
    await until(lambda: len(pids_with(f"sleep\0{marker}")) == 2)
    await process.terminate(grace_s=1)
    await until(lambda: not [pid for pid in pids_with(marker) if is_running(pid)])


async def test_ctrl_c_on_the_terminal_does_not_reach_a_child() -> None:
    process = await start_process(["sleep", "100"])
    assert os.getsid(process.pid) == process.pid != os.getsid(0)
    await process.terminate()


@pytest.mark.parametrize("runner", ["asyncio", "uvloop"])
def test_a_child_does_not_outlive_a_parent_that_is_killed(tmp_path: Path, runner: str) -> None:
    marker = f"77.{os.getpid()}{len(runner)}"
    code = f"""
import asyncio, {runner}
from backend.media.process import start_process
async def main():
    process = await start_process(["sleep", "{marker}"])
    print(process.pid, flush=True)
    await process.wait()
{runner}.run(main())
"""
    parent = subprocess.Popen(python(code), stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert parent.stdout is not None
    child_pid = int(parent.stdout.readline())
    assert is_running(child_pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    try:
        eventually(lambda: not is_running(child_pid))
    finally:
        if is_running(child_pid):
            kill_all([child_pid])


async def test_a_plain_environment_holds_no_settings_or_keys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VAP_ADMIN_PASSWORD", "very secret")
    show = python("import os; print(sorted(os.environ))")
    plain = await start_process(show, stdout="pipe", inherit_env="plain", env={"TZ": "UTC"})
    names = (await plain.stdout.read()).decode()
    await plain.wait()
    assert "VAP_ADMIN_PASSWORD" not in names
    assert "PATH" in names
    assert "TZ" in names
    full = await start_process(show, stdout="pipe")
    assert "VAP_ADMIN_PASSWORD" in (await full.stdout.read()).decode()
    await full.wait()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_program_that_is_not_there_is_said_at_once_and_is_no_matter_of_the_network(run) -> None:
    async def start() -> OSError:
        with pytest.raises(FileNotFoundError) as caught:
            await start_process(["/nowhere/ffmpeg"])
        return caught.value

    errors: list[OSError] = []
    apart(lambda: errors.append(run(start())))
    assert errors[0].filename == "/nowhere/ffmpeg"
    assert not is_disconnect(errors[0])
