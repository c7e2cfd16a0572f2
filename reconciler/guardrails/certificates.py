"""What policies may know of a certificate: names, dates, key. Read from its PEM file; the private key is not looked at.

A self-signed certificate that is made on the server has no dates before it is made: they are null. Of one that is
declared by its thumbprint alone nothing is known but that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from schemas.v1.certificate import Certificate

if TYPE_CHECKING:
    from cryptography.x509 import Certificate as PemCertificate

Facts = Mapping[str, JsonValue]

_KEYS = {"ECDSA-P256": ("EC", 256), "RSA-2048": ("RSA", 2048)}


def certificate_facts(
    spec: Certificate, fqdn: str | None, read: Callable[[Path], bytes] = Path.read_bytes
) -> Facts:
    """The facts; one without a file, or whose file cannot be read (an error of `declared`), has none but its services.

    `fqdn` is the name of the server, which a self-signed certificate without names is made for.
    """
    services: list[JsonValue] = [str(service) for service in spec.services]
    if spec.self_signed is not None:
        names = spec.self_signed.subject_alternative_names or ((fqdn,) if fqdn else ())
        algorithm, bits = _KEYS[spec.self_signed.key_type]
        made: dict[str, JsonValue] = {"names": list(names), "keyAlgorithm": algorithm, "keyBits": bits}
        return {**_UNKNOWN, **made, "isSelfSigned": True, "services": services}
    if spec.certificate_file is None:
        return {**_UNKNOWN, "services": services}
    try:
        return {**_of_pem(read(Path(spec.certificate_file))), "services": services}
    except (OSError, ValueError):
        return {**_UNKNOWN, "services": services}


_UNKNOWN: Facts = {
    "names": [],
    "notBefore": None,
    "notAfter": None,
    "isSelfSigned": False,
    "keyAlgorithm": None,
    "keyBits": None,
    "signatureHash": "sha256",
    "subject": None,
    "issuer": None,
}


@lru_cache(maxsize=256)
def _of_pem(pem: bytes) -> Facts:
    from cryptography.exceptions import UnsupportedAlgorithm

    from schemas.v1.certificate_file import certificates_in, host_names

    try:
        found = certificates_in(pem)[0]
        key = found.public_key()
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from error
    return {
        "names": list(host_names(found)),
        "notBefore": found.not_valid_before_utc.isoformat(),
        "notAfter": found.not_valid_after_utc.isoformat(),
        "isSelfSigned": found.issuer == found.subject,
        "keyAlgorithm": type(key)
        .__name__.removeprefix("_")
        .removesuffix("PublicKey")
        .removesuffix("EllipticCurve"),
        "keyBits": getattr(key, "key_size", None),
        "signatureHash": _signature_hash(found),
        "subject": found.subject.rfc4514_string(),
        "issuer": found.issuer.rfc4514_string(),
    }


def _signature_hash(certificate: PemCertificate) -> str | None:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        hashing = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return None
    return hashing.name if hashing else None
