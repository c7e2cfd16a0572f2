"""Certificates of a server as PEM files that may be used: stored ones are checked, self-signed ones are
made.

A key is refused when others than its owner can read it, or when it does not fit its certificate. A
self-signed pair is made again when its declaration no longer describes it or when it has expired; its key
file is 0600 from the first byte and both files replace the old ones in one step each. Called by the
supervisor when it builds a generation.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from runtime.net.tls import TlsError, server_context
from runtime.services.base import CertificateFiles
from runtime.supervisor.certificate_store import replace, stored_files
from runtime.supervisor.layout import Layout, safe
from schemas.v1.certificate import Certificate
from schemas.v1.certificate_file import MALFORMED

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

#: The word that `Certificate.services` has for each service that shows one.
CERTIFICATE_SERVICE = {"imap4": "IMAP", "pop3": "POP", "frontend-transport": "SMTP", "transport": "SMTP"}
#: A clock of a client that is a little behind shall not refuse a certificate made just now.
_BACKDATED = timedelta(hours=1)


class CertificateError(Exception):
    """A certificate cannot be used; the text says which, why, and what to do."""


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What a certificate file says of itself; `thumbprint` is the hex SHA-256 of its DER form. `error`: why its names
    are not known."""

    thumbprint: str
    not_after: datetime
    subject_alternative_names: tuple[str, ...]
    error: str | None = None


def prepare(layout: Layout, *, server: str, fqdn: str, name: str, spec: Certificate) -> CertificateFiles:
    """The files of a declared certificate, made first where it is self-signed. Raises CertificateError."""
    certificate, key = paths(layout, server=server, name=name, spec=spec)
    try:
        if spec.self_signed is not None:
            _keep_self_signed(certificate, key, wanted=_wanted(spec, server, fqdn))
        server_context(certificate, key)
        facts = read_facts(certificate)
    except (TlsError, OSError, ValueError) as error:
        raise CertificateError(f"certificate {server}/{name} cannot be used: {error}") from error
    return CertificateFiles(
        name=name,
        certificate_file=certificate,
        private_key_file=key,
        services=frozenset(str(service) for service in spec.services),
        subject_alternative_names=facts.subject_alternative_names,
    )


def paths(layout: Layout, *, server: str, name: str, spec: Certificate) -> tuple[Path, Path]:
    """Certificate file and key file, whether they exist or not."""
    if spec.certificate_file is not None and spec.private_key_file is not None:
        # An earlier version left it where it was declared, and it could not be stored since.
        return Path(spec.certificate_file), Path(spec.private_key_file)
    if spec.self_signed is None:
        return stored_files(layout, server, spec)
    directory = layout.certificates(server)
    return directory / f"{safe(name)}.crt", directory / f"{safe(name)}.key"


def read_facts(file: Path) -> CertificateFacts:
    """What the (first) certificate in a PEM file says. Raises OSError, ValueError."""
    try:
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
    except x509.InvalidVersion as invalid:
        raise ValueError(str(invalid)) from invalid
    names: tuple[str, ...] = ()
    error = None
    try:
        names = _names_in(certificate)
    except MALFORMED as malformed:
        # An earlier version took it in, and TLS shows it: it goes on to serve where no name chooses it.
        error = f"its names cannot be read, so none of them chooses it: {malformed}"
    return CertificateFacts(
        thumbprint=certificate.fingerprint(hashes.SHA256()).hex(),
        not_after=certificate.not_valid_after_utc,
        subject_alternative_names=names,
        error=error,
    )


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A self-signed certificate as declared."""

    names: tuple[str, ...]
    valid_days: int
    key_type: str


def _wanted(spec: Certificate, server: str, fqdn: str) -> _Wanted:
    """Without declared names: the server's own, and loopback, since self-signed is for development."""
    declared = spec.self_signed
    assert declared is not None
    default = (fqdn, server, "localhost", "127.0.0.1", "::1")
    names = tuple(str(name) for name in declared.subject_alternative_names) or default
    return _Wanted(tuple(dict.fromkeys(names)), declared.valid_days, str(declared.key_type))


def _keep_self_signed(certificate: Path, key: Path, *, wanted: _Wanted) -> None:
    if not _is_as_wanted(certificate, key, wanted):
        certificate.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        private_key = _new_key(wanted.key_type)
        replace(key, _key_pem(private_key), mode=0o600)
        replace(certificate, _sign(private_key, wanted).public_bytes(serialization.Encoding.PEM), mode=0o644)


def _is_as_wanted(certificate_file: Path, key_file: Path, wanted: _Wanted) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
        names = _names_in(certificate)
    except (FileNotFoundError, *MALFORMED):
        return False
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc - _BACKDATED
    return (
        certificate.public_key() == key.public_key()
        and _key_type(key) == wanted.key_type
        and set(names) == set(wanted.names)
        and lifetime.days == wanted.valid_days
        and certificate.not_valid_after_utc > datetime.now(UTC)
    )


def _new_key(key_type: str) -> PrivateKey:
    if key_type == "RSA-2048":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def _key_type(key: object) -> str:
    return "RSA-2048" if isinstance(key, rsa.RSAPrivateKey) else "ECDSA-P256"


def _key_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _sign(key: PrivateKey, wanted: _Wanted) -> x509.Certificate:
    """An end-entity certificate that strict verifiers take too when it is given to them as trusted."""
    now = datetime.now(UTC).replace(microsecond=0)
    # RFC 5280 limits a common name to 64 characters; the names that count are the alternative ones.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, wanted.names[0][:64])])
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - _BACKDATED,
        not_valid_after=now + timedelta(days=wanted.valid_days),
    )
    for extension, is_critical in _extensions(key, wanted.names):
        builder = builder.add_extension(extension, critical=is_critical)
    return builder.sign(key, hashes.SHA256())


def _extensions(key: PrivateKey, names: Iterable[str]) -> Iterable[tuple[x509.ExtensionType, bool]]:
    public = key.public_key()
    yield x509.SubjectAlternativeName([_general_name(name) for name in names]), False
    yield x509.BasicConstraints(ca=False, path_length=None), True
    yield _key_usage(), True
    yield x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False
    yield x509.SubjectKeyIdentifier.from_public_key(public), False
    yield x509.AuthorityKeyIdentifier.from_issuer_public_key(public), False


def _key_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=True,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _names_in(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = found.get_values_for_type(x509.IPAddress)
    return (*found.get_values_for_type(x509.DNSName), *(str(address) for address in addresses))
