"""Certificates and keys for tests, made when they are needed, so that no private key lies in the repository."""

from __future__ import annotations

from base64 import b64decode, encodebytes
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

#: The beginning of the object identifiers of curves and of ECDSA signatures, in DER.
_CURVES, _SIGNATURES = bytes.fromhex("2a8648ce3d0301"), bytes.fromhex("2a8648ce3d0403")
#: Version 3 of X.509, and one that does not exist, in DER.
_VERSION, _NO_VERSION = bytes.fromhex("a003020102"), bytes.fromhex("a003020107")


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The private key as PKCS#8."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def on_an_unknown_curve(pem: bytes) -> bytes:
    """The PEM again, as if its key were on a curve that nobody supports: 1.2.840.10045.3.1.4 in place of .7 (P-256)."""
    return _replaced(pem, _CURVES + b"\7", _CURVES + b"\4")


def signed_in_an_unknown_way(pem: bytes) -> bytes:
    """The certificate again, as if its signature were 1.2.840.10045.4.3.9 in place of .2 (ECDSA with SHA-256)."""
    return _replaced(pem, _SIGNATURES + b"\2", _SIGNATURES + b"\x09")


def of_no_version(pem: bytes) -> bytes:
    """The certificate again, as if it were of a version that X.509 does not have."""
    return _replaced(pem, _VERSION, _NO_VERSION)


def with_a_subject_that_is_no_text(pem: bytes) -> bytes:
    """The certificate again; its subject and issuer are not in UTF-8."""
    return _replaced(pem, b"ex01.contoso", b"ex\xff1.contoso")


def off_its_curve(pem: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    """The certificate of the key again; its public key is no point of the curve."""
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return _replaced(pem, point, point[:-1] + bytes([point[-1] ^ 1]))


def with_names(key: ec.EllipticCurvePrivateKey, *names: bytes) -> bytes:
    """A certificate with these octets in place of its alternative names, once for each."""
    plain = x509.load_pem_x509_certificate(certificate_pem(key))
    builder = x509.CertificateBuilder(plain.issuer, plain.subject, plain.public_key(), plain.serial_number)
    builder = builder.not_valid_before(plain.not_valid_before_utc).not_valid_after(plain.not_valid_after_utc)
    kinds = (x509.SubjectAlternativeName.oid, x509.KeyUsage.oid)
    for oid, octets in zip(kinds, names, strict=False):
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, octets), critical=False)
    signed = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    # A builder refuses to give the same extension twice.
    return _replaced(signed, _der(kinds[1]), _der(kinds[0]))


def _der(oid: x509.ObjectIdentifier) -> bytes:
    """Of one of 2.5.29."""
    return bytes([0x55, 0x1D, int(oid.dotted_string.rpartition(".")[2])])


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
