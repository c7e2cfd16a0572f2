"""Which certificates a probe may meet, and a TLS context that accepts these alone.

A self-signed certificate stands for its own authority; one from an authority is its own anchor (partial chain), so that
no system trust store decides a probe. Host names are not compared, because a probe connects to an address: the
thumbprint is compared instead. `logon` is the only caller.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class TrustError(Exception):
    """The server presented a certificate that is not its own."""


@dataclass(frozen=True, slots=True)
class Trust:
    """The certificates of one server for one protocol: PEM files, and SHA-256 thumbprints in lower-case hex."""

    files: tuple[Path, ...]
    thumbprints: frozenset[str]

    def context(self) -> ssl.SSLContext:
        """A client context that accepts these certificates alone. Raises TrustError when there is none."""
        if not self.files:
            raise TrustError("no certificate of this server is assigned to this protocol")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        for file in self.files:
            context.load_verify_locations(cafile=file)
        return context

    def check(self, connection: object) -> None:
        """Compare the thumbprint of a TLS connection. Raises TrustError."""
        if not isinstance(connection, ssl.SSLSocket):
            raise TrustError("the connection is not protected by TLS")
        thumbprint = hashlib.sha256(connection.getpeercert(binary_form=True) or b"").hexdigest()
        if thumbprint not in self.thumbprints:
            raise TrustError(
                f"the certificate presented (SHA-256 {thumbprint[:16]}…) is not one of this server's"
            )


def trust_of(status: Mapping[str, Any], *, server: str, protocol: str) -> Trust:
    """What the runtime's status says of `server`'s certificates for "IMAP", "POP" or "SMTP"."""
    certificates = [
        certificate
        for found in status["servers"]
        for certificate in found["certificates"]
        if found["name"] == server and protocol in certificate["services"] and certificate["thumbprint"]
    ]
    return Trust(
        files=tuple(Path(certificate["file"]) for certificate in certificates),
        thumbprints=frozenset(_plain(certificate["thumbprint"]) for certificate in certificates),
    )


def _plain(thumbprint: str) -> str:
    return thumbprint.replace(":", "").lower()
