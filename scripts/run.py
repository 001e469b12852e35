"""`make run`: the main process and its workers in one terminal; Ctrl-C stops them all.

Each is the real program (`run.py`, `analysis_worker.py`), as an operator would start it. When one
ends by itself, the others are stopped and its exit code is passed on.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STOP_WITHIN_S = 30.0
READY_WITHIN_S = 60.0


def main(argv: Sequence[str] | None = None) -> int:
    """Start, wait, stop; the exit code of whichever ended by itself, else 0."""
    parser = argparse.ArgumentParser(prog="make run")
    parser.add_argument("--workers", type=int, default=1, help="number of worker processes")
    arguments = parser.parse_args(argv)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    processes = {"run.py": _start("run.py")}
    try:
        code = _until_schema_is_there(processes["run.py"], stop)
        for number in range(1, arguments.workers + 1) if code is None else ():
            processes[f"worker {number}"] = _start("analysis_worker.py")
        while code is None and not stop.wait(0.3):
            code = next((p.returncode for p in processes.values() if p.poll() is not None), None)
    finally:
        _stop(processes)
    return code or 0


def _start(program: str) -> subprocess.Popen[bytes]:
    # a session of its own: the terminal's Ctrl-C reaches this process, which stops the others
    return subprocess.Popen([sys.executable, program], cwd=ROOT, start_new_session=True)


def _until_schema_is_there(
    main_process: subprocess.Popen[bytes], stop: threading.Event
) -> int | None:
    """Wait until run.py has made a new database; a worker would refuse one without tables."""
    check = [sys.executable, "-m", "scripts.schema_ready"]
    waited_s = 0.0
    while waited_s < READY_WITHIN_S and not stop.wait(0.3):
        if main_process.poll() is not None:
            return main_process.returncode
        if subprocess.run(check, cwd=ROOT, check=False).returncode == 0:
            return None
        waited_s += 1.0
    return None


def _stop(processes: dict[str, subprocess.Popen[bytes]]) -> None:
    """Workers first, the main process last: it still answers while they finish."""
    for process in reversed(processes.values()):
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            if process.args != [sys.executable, "run.py"]:
                # told twice: hand running jobs back at once (the same signal would arrive once)
                process.send_signal(signal.SIGINT)
    for name, process in processes.items():
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            sys.stderr.write(f"make run: {name} did not stop, killing it\n")
            process.kill()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
