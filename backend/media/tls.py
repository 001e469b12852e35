"""Which certificates ffmpeg and its libraries trust: those that Python trusts on this machine.

Each build of ffmpeg looks for them in another place, and some look nowhere. `SSL_CERT_FILE` names
another file, for all of them.
"""

from __future__ import annotations

import ssl


def ca_file() -> str | None:
    """The file of trusted certificates, None where the machine has none."""
    return ssl.get_default_verify_paths().cafile


def certificates_env() -> dict[str, str]:
    """What tells OpenSSL in a child process where they are."""
    file = ca_file()
    return {"SSL_CERT_FILE": file} if file is not None else {}
