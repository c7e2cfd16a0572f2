"""Certificates in PEM, read once and whole, so that whoever has one may ask it for anything.

The parser looks at most parts of a certificate only when they are asked for, and raises then. Here they are asked for
where a file is read, so that both houses refuse the same files and nothing fails later. No key is read and no trust is
looked up. Called by the reconciler for the files of a declaration, and by the runtime before it takes a copy.
"""

from __future__ import annotations

from collections.abc import Mapping

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

#: What the parser raises of a certificate that is not as X.509 has it.
MALFORMED = (
    ValueError,
    TypeError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
#: Of every certificate, and of the first alone: what is asked for later, and how it is called.
_PARTS = {"subject": "a subject", "issuer": "an issuer", "signature_hash_algorithm": "a signature"}
_OF_THE_FIRST = {**_PARTS, "extensions": "extensions"}


class UnreadableCertificateError(ValueError):
    """A certificate is not as X.509 has it; the text says what, as the end of a sentence about its file."""


def certificates_in(pem: bytes) -> tuple[x509.Certificate, ...]:
    """The certificate, and its chain after it. Raises UnreadableCertificateError, another ValueError when there is no
    certificate, and UnsupportedAlgorithm for a kind of key that cannot serve."""
    try:
        found = tuple(x509.load_pem_x509_certificates(pem))
    except x509.InvalidVersion as error:
        raise UnreadableCertificateError(f"has a version that cannot be read: {error}") from None
    try:
        found[0].public_key()
    except ValueError as error:
        raise UnreadableCertificateError(f"has a key that cannot be read: {error}") from None
    for number, certificate in enumerate(found):
        if number:
            _read(certificate, _PARTS, where=f"in its chain, at place {number + 1}, ")
        else:
            _read(certificate, _OF_THE_FIRST)
    return found


def _read(certificate: x509.Certificate, parts: Mapping[str, str], *, where: str = "") -> None:
    for part, name in parts.items():
        try:
            getattr(certificate, part)
        except UnsupportedAlgorithm:
            continue  # to sign in a way that is not known here is no fault: the client decides
        except MALFORMED as error:
            raise UnreadableCertificateError(f"has {where}{name} that cannot be read: {error}") from None


def host_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Subject alternative names of type DNS; the common name where there are none. Of one of `certificates_in`."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        return tuple(str(name.value) for name in common)
    return tuple(names.get_values_for_type(x509.DNSName))
