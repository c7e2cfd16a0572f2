"""TLS contexts for listeners, and which certificate a listener shows.

Versions below 1.2, compression and renegotiation are refused, and so is a private key that others than its
owner can read. Nothing here falls back to a weaker setting. Called by the services when a generation is
built.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol


class TlsError(Exception):
    """A certificate or key cannot be used; the sentence says what to do."""


class CertificateLike(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def certificate_file(self) -> Path: ...
    @property
    def private_key_file(self) -> Path: ...
    @property
    def services(self) -> frozenset[str]: ...
    @property
    def subject_alternative_names(self) -> tuple[str, ...]: ...


class Certificates(Protocol):
    """A snapshot, as far as its certificates go."""

    @property
    def certificates(self) -> Sequence[CertificateLike]: ...


def server_context(certificate: Path, private_key: Path) -> ssl.SSLContext:
    """A context for the server side. Raises TlsError: unreadable file, key that does not fit, key open to others."""
    _check_private(private_key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.num_tickets = 1
    try:
        context.load_cert_chain(certificate, private_key)
    except (OSError, ssl.SSLError) as error:
        raise TlsError(f"cannot use certificate {certificate} with key {private_key}: {error}") from error
    return context


def choose_certificate(snapshot: Certificates, service: str, name: str | None) -> CertificateLike | None:
    """The certificate for `service` ("IMAP", "POP", "SMTP"), as Exchange chooses by X509CertificateName: a certificate
    that carries `name` and is enabled for the service, else a wildcard that covers it (the name alone selects that
    one). Without a name: the first that is enabled for the service, by name. None: no usable certificate."""
    enabled = [found for found in _by_name(snapshot.certificates) if service in found.services]
    if not name:
        return enabled[0] if enabled else None
    wanted = name.casefold()
    for found in enabled:
        if wanted in (alternative.casefold() for alternative in found.subject_alternative_names):
            return found
    return next((found for found in _by_name(snapshot.certificates) if _covers(found, wanted)), None)


def _by_name(certificates: Iterable[CertificateLike]) -> list[CertificateLike]:
    return sorted(certificates, key=lambda certificate: certificate.name)


def _covers(certificate: CertificateLike, name: str) -> bool:
    """A wildcard stands for exactly one label (RFC 6125 6.4.3)."""
    wildcard = "*." + name.partition(".")[2]
    return wildcard in (alternative.casefold() for alternative in certificate.subject_alternative_names)


def _check_private(private_key: Path) -> None:
    try:
        mode = private_key.stat().st_mode & 0o777
    except OSError as error:
        raise TlsError(f"cannot read private key {private_key}: {error.strerror}") from error
    if mode & 0o077:
        raise TlsError(
            f"private key {private_key} can be read by others than its owner (mode {mode:04o}); "
            f"run: chmod 600 {private_key}"
        )
