"""Wake-ups between the processes of one machine: a datagram says "look at the database now".

A nudge carries nothing and may be lost: whoever waits for one also looks at intervals. Each
listener notes its port in a file `<topic>.<name>.port` under DATA_DIR/run/nudge; a sender reads the
folder at every nudge, so that nobody has to be told who is there.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from pathlib import Path

JOBS = "jobs"
EVENTS = "events"


class Nudges:
    """Sends nudges to every listener of a topic on this machine. Cheap: a few file reads."""

    def __init__(self, run_dir: Path) -> None:
        self._dir = run_dir / "nudge"
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)  # noqa: FBT003  the standard library's signature

    def send(self, topic: str) -> None:
        """Wake the listeners of the topic; never waits and never fails."""
        for file in self._dir.glob(f"{topic}.*.port"):
            with suppress(OSError, ValueError, OverflowError):
                self._socket.sendto(b".", ("127.0.0.1", int(file.read_text())))

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()


class NudgeListener(asyncio.DatagramProtocol):
    """Sets `woken` at each nudge of a topic. Use as an async context manager."""

    def __init__(self, run_dir: Path, topic: str, name: str) -> None:
        self.woken = asyncio.Event()
        self._file = run_dir / "nudge" / f"{topic}.{name}.port"
        self._transport: asyncio.DatagramTransport | None = None

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002
        """Somebody says that there is something to see."""
        self.woken.set()

    async def __aenter__(self) -> NudgeListener:
        """Listen, and say where."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", 0)
        )
        port = self._transport.get_extra_info("sockname")[1]
        with suppress(OSError):  # a full disk: then nobody nudges, and whoever listens polls
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text(str(port))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening."""
        with suppress(OSError):
            self._file.unlink()
        if self._transport is not None:
            self._transport.close()
