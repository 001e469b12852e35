"""A port that stays a test's own while nobody listens on it."""

from __future__ import annotations

import socket


def held_port(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """A socket bound to this port, or to a free one, until it is closed.

    Who calls is refused. A listener with SO_REUSEADDR may be bound beside it; nobody gets the port
    who asks for a free one.
    """
    held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.setblocking(False)
    try:
        held.bind((host, port))
    except OSError:
        held.close()
        raise
    return held
