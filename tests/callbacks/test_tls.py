"""Certificates are verified: a callback goes to who it is meant for."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from backend.kernel.retry import Backoff
from tests.callbacks.office import Office
from tests.peers.callback_receiver import CallbackReceiver

LATER = Backoff(first_s=3600, max_s=3600, jitter=0)


async def test_a_certificate_that_nobody_vouches_for_is_not_accepted(
    small_office: Office, tmp_path: Path
) -> None:
    server_tls, client_tls = _certificate(tmp_path)
    async with CallbackReceiver(tls=server_tls) as receiver:
        async with small_office.sending(retry=LATER):
            row = await small_office.until_attempts(await small_office.add(receiver.url, 10), 1)
        assert "certificate" in row.last_error
        assert receiver.received == []
        async with small_office.sending(tls=client_tls):
            await small_office.pass_time(hours=2)
            await small_office.until_sent()
    assert len(receiver.received) == 1


def _certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's TLS for 127.0.0.1, and that of a client who trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "receiver")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    file = folder / "receiver.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    client = ssl.create_default_context(
        cadata=certificate.public_bytes(serialization.Encoding.PEM).decode()
    )
    return server, client
