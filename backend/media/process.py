"""Child processes: started, listened to, ended and reaped in one place.

Used for ffmpeg, for the short probe and for the long-lived analysis child. Guarantees:

- A child never outlives its parent, not even after `kill -9` of the parent (Linux: the kernel
  kills it through PR_SET_PDEATHSIG). The loop must run in a thread that lives as long as the
  children should, normally the main thread.
- It leads a session of its own, so that Ctrl-C on the terminal does not reach it and `terminate`
  reaches all that it started.
- Its stderr is always read, so that it never blocks on it; lines are redacted before anyone sees
  them, and memory for them is bounded.
- `terminate` always ends it: SIGTERM, a grace period, SIGKILL, reaped.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process, SubprocessStreamProtocol
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import structlog

from backend.kernel.redact import redact

log = structlog.get_logger(__name__)

LineCallback = Callable[[str], None]

LOW_PRIORITY = 10
"""Added to the niceness of work on footage: live video on the same machine comes first."""
STREAM_LIMIT_BYTES = 16 * 1024 * 1024
MAX_LINE_CHARS = 1_000
TAIL_LINES = 40
LAST_LINES_WITHIN_S = 2.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

# What a program that reads foreign media needs of the environment. The rest may hold secrets.
_PLAIN_NAMES = frozenset(
    {"PATH", "HOME", "LANG", "LANGUAGE", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV"}
    | {"SSL_CERT_FILE", "SSL_CERT_DIR", "http_proxy", "https_proxy", "no_proxy"}
    | {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}
)


async def start_process(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    inherit_env: Literal["all", "plain"] = "all",
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
    stdin: Literal["none", "pipe"] = "none",
    stdout: Literal["none", "pipe"] = "none",
    on_stderr_line: LineCallback | None = None,
) -> SupervisedProcess:
    """Start a program and supervise it; the caller ends it with `terminate` or waits for its end.

    Args:
        argv: the program and its arguments, handed over as they are (no shell).
        env: variables added to what is inherited.
        inherit_env: `plain` keeps settings and keys of this process away from the child.
        pass_fds: file descriptors that the child inherits under the same number.
        stdin: `pipe` to write to it through `.stdin`, else it reads end-of-file.
        stdout: `pipe` to read it through `.stdout` (then it must be read), else it is dropped.
        on_stderr_line: called with each redacted line of stderr, in the loop; must be quick.

    Raises:
        OSError: the program cannot be started; `filename` is always the program.
    """
    loop = asyncio.get_running_loop()
    lines = _StderrLines(on_stderr_line)
    making = asyncio.ensure_future(
        loop.subprocess_exec(
            lambda: _Protocol(loop, lines),
            *argv,
            stdin=PIPE if stdin == "pipe" else DEVNULL,
            stdout=PIPE if stdout == "pipe" else DEVNULL,
            stderr=PIPE,
            env=_environment(inherit_env, env),
            cwd=cwd,
            pass_fds=tuple(pass_fds),
            start_new_session=True,
            preexec_fn=_die_with_parent(os.getpid()),
        )
    )
    try:
        transport, protocol = await asyncio.shield(making)
    except asyncio.CancelledError:
        # asyncio may wait for ever for a process whose making is cancelled: make it, then end it
        while not making.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([making])
        if making.exception() is None:
            transport, protocol = making.result()
            await SupervisedProcess(Process(transport, protocol, loop), lines).terminate(0)
        raise
    except OSError as error:
        error.filename = error.filename or argv[0]  # without one it looks like the network's
        raise
    return SupervisedProcess(Process(transport, protocol, loop), lines)


class SupervisedProcess:
    """A running child. Made by `start_process`."""

    def __init__(self, process: Process, lines: _StderrLines) -> None:
        self._process = process
        self._lines = lines

    @property
    def pid(self) -> int:
        """Process id, also the id of its group."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Exit status, negative for a signal, None while it runs."""
        return self._process.returncode

    @property
    def stdin(self) -> asyncio.StreamWriter:
        """Pipe to its standard input."""
        if self._process.stdin is None:
            raise ValueError("started without stdin='pipe'")
        return self._process.stdin

    @property
    def stdout(self) -> asyncio.StreamReader:
        """Pipe from its standard output."""
        if self._process.stdout is None:
            raise ValueError("started without stdout='pipe'")
        return self._process.stdout

    @property
    def stderr_tail(self) -> list[str]:
        """The last redacted lines of its standard error."""
        return list(self._lines.tail)

    async def wait(self) -> int:
        """Wait for its end and for the last line of its stderr; the exit status."""
        status = await self._process.wait()
        with suppress(TimeoutError):  # something that it started may still hold its stderr
            async with asyncio.timeout(LAST_LINES_WITHIN_S):
                await self._lines.ended.wait()
        return status

    async def terminate(self, grace_s: float = 3.0) -> int:
        """End it: SIGTERM to its group, after `grace_s` SIGKILL; returns when it is reaped."""
        if self.returncode is None:
            self._signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(grace_s):
                    return await self.wait()
            except TimeoutError:
                if grace_s > 0:
                    log.warning("process ignored SIGTERM", action="process.kill", pid=self.pid)
            finally:
                self.kill()
        return await self.wait()

    def kill(self) -> None:
        """SIGKILL to its group, at once; `wait` reaps it."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.returncode is None:  # a reaped id may belong to someone else
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)


class _StderrLines:
    """Cuts stderr into lines: redacted, shortened, the last ones kept."""

    def __init__(self, callback: LineCallback | None) -> None:
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.ended = asyncio.Event()
        self._callback = callback
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take what arrived; `\\r` ends a line too (progress displays)."""
        *lines, self._rest = (self._rest + data).replace(b"\r", b"\n").split(b"\n")
        if len(self._rest) > MAX_LINE_CHARS:
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            self._take(line)

    def end(self) -> None:
        """No more will come."""
        self._take(self._rest)
        self._rest = b""
        self.ended.set()

    def _take(self, raw: bytes) -> None:
        # shortened first, since masking a very long word is slow, and again after
        text = raw[: 2 * MAX_LINE_CHARS].decode("utf-8", "replace").strip()
        line = redact(text)[:MAX_LINE_CHARS]
        if line:
            self.tail.append(line)
            if self._callback is not None:
                self._callback(line)


class _Protocol(SubprocessStreamProtocol):
    """asyncio's own, but stderr goes to the line cutter: no task is needed to read it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, lines: _StderrLines) -> None:
        super().__init__(limit=STREAM_LIMIT_BYTES, loop=loop)
        self._stderr_lines = lines

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        if fd == 2 and isinstance(data, bytes):
            self._stderr_lines.feed(data)
        else:
            super().pipe_data_received(fd, data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 2:
            self._stderr_lines.end()
        super().pipe_connection_lost(fd, exc)


def _environment(
    inherit: Literal["all", "plain"], extra: Mapping[str, str] | None
) -> dict[str, str]:
    inherited = dict(os.environ)  # noqa: TID251  handed on, not read
    if inherit == "plain":
        inherited = {
            name: value
            for name, value in inherited.items()
            if name in _PLAIN_NAMES or name.startswith("LC_")
        }
    return inherited | dict(extra or {})


def _die_with_parent(parent_pid: int) -> Callable[[], None] | None:
    """What the child does between fork and exec; only calls that are safe there."""
    libc = _LIBC
    if libc is None:
        return None

    def ask_the_kernel() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent_pid:  # the parent died before it could be said
            os._exit(1)

    return ask_the_kernel
