"""Certificates and keys for tests, made when they are needed, so that no private key lies in the repository."""

from __future__ import annotations

from base64 import b64decode, encodebytes
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

#: The beginning of the object identifiers of curves and of ECDSA signatures, in DER.
_CURVES, _SIGNATURES = bytes.fromhex("2a8648ce3d0301"), bytes.fromhex("2a8648ce3d0403")


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The private key as PKCS#8."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def on_an_unknown_curve(pem: bytes) -> bytes:
    """The PEM again, as if its key were on a curve that nobody supports: 1.2.840.10045.3.1.4 in place of .7 (P-256)."""
    return _replaced(pem, _CURVES + b"\7", _CURVES + b"\4")


def signed_in_an_unknown_way(pem: bytes) -> bytes:
    """The certificate again, as if its signature were 1.2.840.10045.4.3.9 in place of .2 (ECDSA with SHA-256)."""
    return _replaced(pem, _SIGNATURES + b"\2", _SIGNATURES + b"\x09")


def _replaced(pem: bytes, old: bytes, new: bytes) -> bytes:
    begin, *lines, end = pem.decode().splitlines()
    der = b64decode("".join(lines)).replace(old, new)
    return f"{begin}\n{encodebytes(der).decode()}{end}\n".encode()


def certificate_pem(key: ec.EllipticCurvePrivateKey, *, days: int = 30, age: int = 365) -> bytes:
    """A certificate of the key that began `age` days ago and ends `days` from now."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ex01.contoso.example")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=age)).not_valid_after(now + timedelta(days=days))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
