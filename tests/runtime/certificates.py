"""Certificates for tests, for localhost and 127.0.0.1. `conftest` says where the one lies that all tests share."""

from __future__ import annotations

import base64
import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

#: Object identifiers of curves, in DER: 1.2.840.10045.3.1.7 and .4
_P256, _PRIME239V1 = bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d030104")


@dataclass(frozen=True)
class Pair:
    certificate: Path
    key: Path


def make_pair(directory: Path, name: str = "localhost") -> Pair:
    """A self-signed certificate and its key (mode 0600)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    alternatives = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .sign(key, hashes.SHA256())
    )
    pair = Pair(directory / f"{name}.crt", directory / f"{name}.key")
    pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pair.key.touch(mode=0o600)
    pair.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return pair


def on_an_unknown_curve(file: Path) -> None:
    """The PEM file again, as if its key were on a curve that nobody supports (prime239v1)."""
    begin, *lines, end = file.read_text().splitlines()
    der = base64.b64decode("".join(lines)).replace(_P256, _PRIME239V1)
    file.write_text(f"{begin}\n{base64.encodebytes(der).decode()}{end}\n")


def with_unreadable_names(file: Path) -> None:
    """The certificate of `make_pair` again, its alternative name not in ASCII."""
    begin, *lines, end = file.read_text().splitlines()
    der = base64.b64decode("".join(lines)).replace(b"\x82\x09localhost", b"\x82\x09\xfe\xfe\xfealhost")
    file.write_text(f"{begin}\n{base64.encodebytes(der).decode()}{end}\n")


_shared: list[Pair] = []


def share_pair(directory: Path) -> None:
    """Make the pair for all tests of this process."""
    _shared[:] = [make_pair(directory)]


def shared_pair() -> Pair:
    """One pair for all tests of this process."""
    return _shared[0]


def client_context() -> ssl.SSLContext:
    """Trusts the shared certificate, and nothing else."""
    return ssl.create_default_context(cafile=str(shared_pair().certificate))
