"""Which sources a camera may have, and what they are to ffmpeg.

Cameras live on private networks and carry credentials: rtsp(s) and http(s) to private and loopback
addresses are allowed. Link-local addresses (the clouds' metadata services answer there), files
outside MEDIA_DIRS and every other scheme are not. A host name is resolved and checked each time
before it is connected to.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from backend.kernel.errors import InvalidInput
from backend.monitoring.demo import DEMO_SCENE, DEMO_SCHEME

NETWORK_SCHEMES = frozenset({"rtsp", "rtsps", "http", "https"})
METADATA = (ip_network("fd00:ec2::254/128"), ip_network("100.100.100.200/32"))
RESOLVE_WITHIN_S = 10.0


def check_source(source: str, *, media_dirs: Sequence[Path]) -> None:
    """Refuse a source that no camera may have; says nothing of whether it answers.

    Raises:
        InvalidInput: with code `source_refused`.
    """
    if any(ord(character) < 32 for character in source):
        raise _refused("The source has control characters in it.")
    parts = _split(source)
    if parts.scheme in NETWORK_SCHEMES:
        if not parts.hostname:
            raise _refused("The source names no host.")
        if is_refused_address(parts.hostname):
            raise _refused("Link-local and metadata addresses are no cameras.")
    elif source == DEMO_SCHEME:
        return
    elif parts.scheme == "file":
        _file(source, media_dirs)
    else:
        raise _refused("A source begins with rtsp, rtsps, http, https or file, or is 'demo:'.")


async def open_source(source: str, *, media_dirs: Sequence[Path]) -> str:
    """What ffmpeg is given for a source, checked as it is now: a URL, or an absolute path.

    Raises:
        InvalidInput: as `check_source`, also for a name that resolves to a refused address.
    """
    check_source(source, media_dirs=media_dirs)
    if source == DEMO_SCHEME:
        return str(DEMO_SCENE)
    parts = _split(source)
    if parts.scheme == "file":
        return str(await asyncio.to_thread(_file, source, media_dirs))
    if any(is_refused_address(address) for address in await _resolve(str(parts.hostname))):
        raise _refused("The source's name leads to a link-local or metadata address.")
    return source


def is_refused_address(host: str) -> bool:
    """Whether a literal address is one that no camera has; False for names."""
    try:
        address = ip_address(host)
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address.sixtofour or address
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return True
    return any(address in network for network in METADATA)


async def _resolve(host: str) -> list[str]:
    """Addresses of a name; none where it cannot be resolved: connecting will say so."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_WITHIN_S):
            found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError):
        return []
    return [str(entry[4][0]) for entry in found]


def _file(source: str, media_dirs: Sequence[Path]) -> Path:
    """The file behind a `file:` source, links followed, inside one of the allowed folders."""
    path = Path(unquote(source.removeprefix("file://").removeprefix("file:")))
    candidates = [path] if path.is_absolute() else [folder / path for folder in media_dirs]
    for candidate in candidates:
        resolved = candidate.resolve()
        if any(resolved.is_relative_to(folder) for folder in media_dirs):
            return resolved
    raise _refused("Files are read only from the folders in MEDIA_DIRS.")


def _split(source: str) -> SplitResult:
    try:
        parts = urlsplit(source)
        _ = parts.port
    except ValueError as error:
        raise _refused("The source is not a valid URL.") from error
    return parts


def _refused(message: str) -> InvalidInput:
    return InvalidInput(message, code="source_refused")
