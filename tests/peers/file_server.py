"""A server of one file for tests and by hand, HTTP or HTTPS on loopback, that misbehaves as told.

    async with FileServer(content) as server:
        server.answer_with(Answer(drop_after=1000), Answer())

Answers are used up one by one; the last one answers for ever. Every request is kept, with the
body bytes that were sent for it. Close it last: a held or endless answer ends with the block.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.peers.connections import Connections

PIECE_BYTES = 65_536


@dataclass(frozen=True)
class Answer:
    """One answer.

    Args:
        status: of a good answer 200, which becomes 206 where a range is asked for and given.
        body: None sends the server's file.
        claims_bytes: the Content-Length, true or not.
        drop_after: close the connection after so many bytes of the body.
        hang_after: send nothing more after so many bytes, and keep the connection.
        endless: repeat the body for ever.
        from_byte: where a range begins that is answered, whatever was asked for.
        no_answer: close without a word.
    """

    status: int = 200
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    has_ranges: bool = True
    etag: str | None = '"v1"'
    framing: Literal["length", "chunked", "close"] = "length"
    claims_bytes: int | None = None
    drop_after: int | None = None
    hang_after: int | None = None
    endless: bool = False
    from_byte: int | None = None
    piece_bytes: int = PIECE_BYTES
    pause_s: float = 0.0
    no_answer: bool = False


def redirect(to: str, status: int = 302) -> Answer:
    """Sends the client elsewhere."""
    return Answer(status=status, body=b"elsewhere", headers={"Location": to})


@dataclass
class Request:
    """What was asked for, and how many bytes of a body were sent."""

    target: str
    headers: dict[str, str]
    sent_bytes: int = 0


class FileServer:
    """The server; `content` may be changed while it runs.

    Args:
        host: an address of loopback.
        port: 0 takes a free one.
        tls: makes it an HTTPS server.
    """

    def __init__(
        self,
        content: bytes = b"",
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.content, self.host, self.port, self._tls = content, host, port, tls
        self.requests: list[Request] = []
        self._script: deque[Answer] = deque([Answer()])
        self._connections = Connections(self._serve)

    async def __aenter__(self) -> Self:
        self.port = await self._connections.listen(self.host, self.port, tls=self._tls)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._connections.close()

    def url(self, path: str = "/video.mp4", *, host: str | None = None) -> str:
        """Where the file is; any path is the file."""
        scheme = "https" if self._tls else "http"
        return f"{scheme}://{host or self.host}:{self.port}{path}"

    def answer_with(self, *script: Answer) -> None:
        """Answer with these from now on, in turn."""
        self._script = deque(script)

    @property
    def open_count(self) -> int:
        """How many connections are open now."""
        return self._connections.open_count

    @property
    def connections_count(self) -> int:
        """How many connections there were in all."""
        return self._connections.served_count

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        await self._answer(_request(head), reader, writer)
        writer.close()  # politely: what was sent still arrives
        await writer.wait_closed()

    async def _answer(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        answer = self._script.popleft() if len(self._script) > 1 else self._script[0]
        self.requests.append(request)
        if answer.no_answer:
            return
        status, headers, body = self._made(answer, request)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {status} Told\r\n{lines}\r\n".encode("latin-1"))
        if answer.hang_after is not None:
            await _send(request, writer, body[: answer.hang_after], answer)
            await reader.read()  # until the client leaves
            return
        await _send(request, writer, body[: answer.drop_after], answer)
        while answer.endless:
            await _send(request, writer, body, answer)
        if answer.framing == "chunked" and answer.drop_after is None:
            writer.write(b"0\r\n\r\n")

    def _made(self, answer: Answer, request: Request) -> tuple[int, dict[str, str], bytes]:
        body = self.content if answer.body is None else answer.body
        status, headers = answer.status, {"Content-Type": "video/mp4"}
        if answer.etag:
            headers["ETag"] = answer.etag
        if answer.has_ranges:
            headers["Accept-Ranges"] = "bytes"
        start = self._range_start(answer, request)
        if status == 200 and start is not None and start >= len(body):
            status, body = 416, b""
        elif status == 200 and start is not None:
            status = 206
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            body = body[start:]
        if answer.framing == "chunked":
            headers["Transfer-Encoding"] = "chunked"
        if answer.framing == "length" or answer.claims_bytes is not None:
            claimed = answer.claims_bytes if answer.claims_bytes is not None else len(body)
            headers["Content-Length"] = str(claimed)
        return status, headers | {"Connection": "close"} | dict(answer.headers), body

    def _range_start(self, answer: Answer, request: Request) -> int | None:
        asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
        if asked is None or not answer.has_ranges:
            return None
        last_modified = answer.headers.get("Last-Modified")
        if request.headers.get("if-range") not in {None, answer.etag, last_modified}:
            return None
        return int(asked[1]) if answer.from_byte is None else answer.from_byte


async def _send(
    request: Request, writer: asyncio.StreamWriter, body: bytes, answer: Answer
) -> None:
    for start in range(0, len(body), answer.piece_bytes):
        piece = body[start : start + answer.piece_bytes]
        size = len(piece)
        if answer.framing == "chunked":
            piece = b"%x\r\n%b\r\n" % (size, piece)
        writer.write(piece)
        await writer.drain()
        request.sent_bytes += size
        if answer.pause_s:
            await asyncio.sleep(answer.pause_s)


def _request(head: str) -> Request:
    first, *lines = head.split("\r\n")
    fields = (line.partition(":") for line in lines if line)
    return Request(first.split(" ")[1], {name.lower(): value.strip() for name, _, value in fields})


@dataclass(frozen=True)
class Certificates:
    """For both ends; `client` trusts `server` and nothing else."""

    server: ssl.SSLContext
    client: ssl.SSLContext


def make_certificates(folder: Path, *names: str) -> Certificates:
    """A self-made certificate for these host names and addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "file server of a test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file = folder / "server.pem"
    file.write_bytes(private + public)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return Certificates(server, ssl.create_default_context(cadata=public.decode()))


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
