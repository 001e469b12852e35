"""Stands in for the system's resolver: knows names of its own, and is silent about others.

    names = NameServer({"files.example": ["127.0.0.1"]})
    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)

A name of `silent.*` keeps who asks in the middle of the call, as the real resolver does with a name
server that does not answer, until `answer()`. What it does not know goes to the real resolver.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping, Sequence
from typing import Any

_REAL = socket.getaddrinfo


class NameServer:
    """`asked` holds the names that were asked for, in order."""

    def __init__(self, known: Mapping[str, Sequence[str]] | None = None) -> None:
        self.known = dict(known or {})
        self.asked: list[str] = []
        self._answers = threading.Event()

    def getaddrinfo(self, host: Any, port: Any, *rest: Any, **options: Any) -> Any:
        """As `socket.getaddrinfo`."""
        self.asked.append(host)
        if "silent." in str(host):
            self._answers.wait()
            if host not in self.known:
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        if host not in self.known:
            return _REAL(host, port, *rest, **options)
        found = self.known[host]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found]

    def answer(self) -> None:
        """End the silence, and wait until all who asked know."""
        self._answers.set()
        for thread in threading.enumerate():
            if thread.name == "look-up":
                thread.join(60)
