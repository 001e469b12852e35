"""Which sources a camera may have, what they are to ffmpeg, and how their credentials are kept.

Cameras live on private networks and carry credentials: rtsp(s) and http(s) to private and loopback
addresses are allowed. Link-local, metadata and multicast addresses, files outside MEDIA_DIRS and
every other scheme are not. A host name is resolved and checked each time before it is connected to.

What this cannot see: where a stream's own redirects or playlists lead, and a name that changes its
address between the look and the connect.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from backend.kernel.errors import InvalidInput
from backend.kernel.names import FOR_OPERATOR
from backend.kernel.net import METADATA_NAMES, is_hidden_address
from backend.kernel.redact import MASK
from backend.monitoring.demo import DEMO_SCENE, DEMO_SCHEME

NETWORK_SCHEMES: Final = frozenset({"rtsp", "rtsps", "http", "https"})

_HOST = re.compile(r"[A-Za-z0-9._\-:%]+", re.ASCII)
_MASKED_PARAMETER = re.compile(r"(?P<name>[\w\-]+)=" + re.escape(MASK))


def check_source(source: str, *, media_dirs: Sequence[Path]) -> None:
    """Refuse a source that no camera may have; says nothing of whether it answers.

    Raises:
        InvalidInput: with code `source_refused`.
    """
    scheme = _scheme(source)
    if scheme in NETWORK_SCHEMES:
        host = _host(_split(source))
        if is_refused_address(host) or host.lower() in METADATA_NAMES:
            raise _refused("Link-local, metadata and multicast addresses are no cameras.")
    elif scheme == "file":
        _inside_media_dirs(_file_path(source), media_dirs)
    elif source != DEMO_SCHEME:
        raise _refused("A source begins with rtsp, rtsps, http, https or file, or is 'demo:'.")


async def open_source(source: str, *, media_dirs: Sequence[Path]) -> str:
    """What ffmpeg is given for a source, checked as it is now: a URL, or an absolute path.

    A name that cannot be resolved is left to ffmpeg, which says so.

    Raises:
        InvalidInput: as `check_source`, also for a name that resolves to a refused address.
    """
    if source == DEMO_SCHEME:
        return str(DEMO_SCENE)
    if _scheme(source) == "file":
        path = _file_path(source)
        return str(await asyncio.to_thread(_inside_media_dirs, path, media_dirs))
    check_source(source, media_dirs=media_dirs)
    if any(is_refused_address(address) for address in await _resolve(_host(_split(source)))):
        raise _refused("The source's name leads to a link-local, metadata or multicast address.")
    return source


def is_refused_address(host: str) -> bool:
    """Whether a literal address, in any spelling, is one that no camera has; False for names."""
    address = _literal(host)
    return address is not None and is_hidden_address(address)


def restore_credentials(sent: str, stored: str | None) -> str:
    """The sent source with `***` replaced by what is stored, for the same host only.

    Raises:
        InvalidInput: nothing is stored for a mask, or the host is another one: then the stored
            credentials would go to whoever that is.
    """
    if MASK not in sent:
        return sent
    if stored is None or _scheme(sent) not in NETWORK_SCHEMES:
        raise _unknown_mask()
    new, old = _split(sent), _split(stored)
    if (_host(new), new.port) != (_host(old), old.port):
        raise InvalidInput(
            "The address is another one: enter user name and password again.",
            code="credentials_needed",
        )
    userinfo, _, address = new.netloc.rpartition("@")
    if MASK in userinfo:
        netloc = f"{_restored_userinfo(userinfo, old)}@{address}"
        sent = sent.replace(new.netloc, netloc, 1)
    sent = _MASKED_PARAMETER.sub(lambda match: _restored_parameter(match["name"], stored), sent)
    if MASK in sent:
        raise _unknown_mask()
    return sent


def _restored_userinfo(masked: str, stored: SplitResult) -> str:
    userinfo, at, _ = stored.netloc.rpartition("@")
    if not at:
        raise _unknown_mask()
    if masked == MASK:
        return userinfo
    user, _, password = masked.partition(":")
    stored_user, _, stored_password = userinfo.partition(":")
    if password != MASK or user != stored_user:
        raise _unknown_mask()
    return f"{user}:{stored_password}"


def _restored_parameter(name: str, stored: str) -> str:
    found = re.search(rf"\b{re.escape(name)}=(?P<value>[^&\s;]+)", stored)
    if found is None:
        raise _unknown_mask()
    return f"{name}={found['value']}"


def _scheme(source: str) -> str:
    scheme, colon, _ = source.partition(":")
    return scheme.lower() if colon else ""


def _split(source: str) -> SplitResult:
    """The parts of a network source; each may only mean one thing to us and to ffmpeg."""
    if any(ord(char) <= 32 or ord(char) == 127 for char in source) or "\\" in source:
        raise _refused("The source has a space, a control character or a backslash in it.")
    try:
        parts = urlsplit(source)
        _ = parts.port
    except ValueError:
        raise _refused("The source is not a valid URL.") from None
    if parts.fragment or source.endswith("#") or "@" in parts.path + parts.query:
        raise _refused(
            "Write /, ?, # and @ in a user name, password or path as %2F, %3F, %23 and %40."
        )
    if not source[len(parts.scheme) :].startswith("://") or not parts.hostname:
        raise _refused("The source names no host.")
    return parts


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if not _HOST.fullmatch(host) or ("%" in host and ":" not in host):
        # only an IPv6 zone holds a percent sign; an escaped dot would be read in two ways
        raise _refused("The host name has characters that no host name has.")
    return host.rstrip(".") if ":" not in host else host


def _inside_media_dirs(path: Path, media_dirs: Sequence[Path]) -> Path:
    """The file with its links followed; a relative one is looked for in each folder."""
    folders = [folder.resolve() for folder in media_dirs]
    candidates = [path] if path.is_absolute() else [folder / path for folder in folders]
    inside = [
        file
        for file in (candidate.resolve() for candidate in candidates)
        if any(file.is_relative_to(folder) for folder in folders)
    ]
    for file in inside:
        if file.is_file():
            return file
    if not inside or any(file.exists() for file in inside):
        raise _refused("Files are read only from the folders in MEDIA_DIRS.")
    return inside[0]  # not there (yet): whoever opens it says so


def _file_path(source: str) -> Path:
    rest = source.partition(":")[2]
    if rest.startswith("//"):
        host, _, path = rest[2:].partition("/")
        if host not in {"", "localhost"}:
            raise _refused("A file: source lies on this machine.")
        rest = "/" + unquote(path)
    if not rest or "\0" in rest:
        raise _refused("The source names no file.")
    return Path(rest)


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    """The address that the host is, also in the short forms that the system's resolver takes."""
    try:
        return ip_address(host)
    except ValueError:
        pass
    if not re.fullmatch(r"[0-9a-fx.]+", host, re.IGNORECASE):
        return None
    try:
        return IPv4Address(socket.inet_aton(host))  # 2852039166, 0xa9fea9fe, 169.254.43518
    except OSError:
        return None


async def _resolve(host: str) -> Sequence[str]:
    try:
        return await FOR_OPERATOR(host, 0)
    except (OSError, UnicodeError):  # a TimeoutError is an OSError
        return []


def _refused(message: str) -> InvalidInput:
    return InvalidInput(message, code="source_refused")


def _unknown_mask() -> InvalidInput:
    return InvalidInput(
        f"{MASK} stands for nothing that is stored: enter user name and password again.",
        code="credentials_needed",
    )
