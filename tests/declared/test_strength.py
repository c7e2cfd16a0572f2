"""What `validate` calls too weak is exactly what the runtime's TLS refuses to load."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from reconciler.declared.strength import weakness
from runtime.net.tls import TlsError, server_context
from tests.declared.builders import document, loaded

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
SERVER = document("Server", "ex01", "{fqdn: ex01.contoso.example}")
STRONG = ec.generate_private_key(ec.SECP256R1())
ISSUER = rsa.generate_private_key(65537, 2048)
WEAK = rsa.generate_private_key(65537, 1024)
SHA256, SHA1 = (bytes.fromhex(f"2a864886f70d0101{last}") for last in ("0b", "05"))


def certificate(key: Private, *, name: str = "ex01", by: Private | None = None) -> x509.Certificate:
    """Its own issuer, or issued `by` another key."""
    subject, issuer = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in (name, "ca" if by else name)
    )
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).serial_number(7)
    builder = builder.public_key(key.public_key())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=30))
    return builder.sign(by or key, hashes.SHA256())


def as_if_sha1(signed: x509.Certificate) -> x509.Certificate:
    """It says that it was signed with SHA-1, which nobody here can do any more."""
    return x509.load_der_x509_certificate(signed.public_bytes(Encoding.DER).replace(SHA256, SHA1))


def written(directory: Path, key: Private, *chain: x509.Certificate) -> tuple[Path, Path]:
    pem, private = directory / "mail.crt", directory / "mail.key"
    pem.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in chain))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    private.chmod(0o600)
    return pem, private


SMALL_CURVE = ec.generate_private_key(ec.SECP192R1())
CASES: dict[str, tuple[Private, tuple[x509.Certificate, ...], str | None]] = {
    "P-256": (STRONG, (certificate(STRONG),), None),
    "RSA 2048": (ISSUER, (certificate(ISSUER),), None),
    "RSA 1024": (WEAK, (certificate(WEAK),), "has an RSA key of 1024 bits, too few for TLS"),
    "P-192": (SMALL_CURVE, (certificate(SMALL_CURVE),), "has an EC key of 192 bits, too few for TLS"),
    "issued with SHA-1": (
        STRONG,
        (as_if_sha1(certificate(STRONG, by=ISSUER)),),
        "has a signature with SHA1, too weak for TLS",
    ),
    "its own issuer with SHA-1": (ISSUER, (as_if_sha1(certificate(ISSUER)),), None),
    "issued by RSA 1024": (
        STRONG,
        (certificate(STRONG, by=WEAK), certificate(WEAK, name="ca")),
        "has in its chain, at place 2, an RSA key of 1024 bits, too few for TLS",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_weak_is_what_tls_refuses(case: str, tmp_path: Path) -> None:
    key, chain, expected = CASES[case]
    assert weakness(chain) == expected
    files = written(tmp_path, key, *chain)
    if expected is None:
        server_context(*files)
    else:
        with pytest.raises(TlsError):
            server_context(*files)


def test_a_weak_certificate_is_an_error_at_its_file(tmp_path: Path) -> None:
    written(tmp_path, WEAK, certificate(WEAK))
    files = "servers: [ex01], services: [IMAP], certificateFile: mail.crt, privateKeyFile: mail.key"
    result = loaded(tmp_path, SERVER, document("Certificate", "mail", f"{{{files}}}"))
    (found,) = result.diagnostics
    assert result.desired is None
    assert found.message == "certificateFile: mail.crt has an RSA key of 1024 bits, too few for TLS"
    assert found.hint == (
        "ask for a new certificate: RSA with 2048 bits or more, or ECDSA with P-256, signed with SHA-256"
    )
    assert found.position is not None
    assert found.position.column > 1
