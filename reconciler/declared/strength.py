"""Whether TLS takes a certificate: keys and signatures that OpenSSL refuses at its security level 2, as the runtime's
contexts do. Nothing is looked up; whether a client trusts it is another matter. Called by `certificates`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

#: The fewest bits of a key.
LEAST_RSA, LEAST_EC, LEAST_DSA = 2048, 224, 2048
_BROKEN = ("md5", "sha1")
STRONG = "RSA with 2048 bits or more, or ECDSA with P-256, signed with SHA-256"


def weakness(certificates: Sequence[Certificate]) -> str | None:
    """What is too weak of a certificate and its chain after it, as the end of a sentence about its file."""
    for number, certificate in enumerate(certificates):
        if (found := _weak_key(certificate) or _weak_signature(certificate)) is not None:
            return f"has in its chain, at place {number + 1}, {found}" if number else f"has {found}"
    return None


def _weak_key(certificate: Certificate) -> str | None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

    try:
        key = certificate.public_key()
    except (UnsupportedAlgorithm, ValueError):  # nothing is known of it; that of the first is told before
        return None
    match key:
        case rsa.RSAPublicKey():
            name, least = "an RSA", LEAST_RSA
        case ec.EllipticCurvePublicKey():
            name, least = "an EC", LEAST_EC
        case dsa.DSAPublicKey():
            name, least = "a DSA", LEAST_DSA
        case _:
            return None
    if key.key_size >= least:
        return None
    return f"{name} key of {key.key_size} bits, too few for TLS"


def _weak_signature(certificate: Certificate) -> str | None:
    """TLS does not look at the signature of a certificate that is its own issuer."""
    from cryptography.exceptions import UnsupportedAlgorithm

    if certificate.issuer == certificate.subject:
        return None
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return None
    if algorithm is None or algorithm.name not in _BROKEN:
        return None
    return f"a signature with {algorithm.name.upper()}, too weak for TLS"
