"""Certificates that come from files: located, read, matched with their keys, and their thumbprints filled in.

Everything that would make a service refuse the certificate later is said here, before anything is applied: a missing or
unreadable file, no PEM, a part that cannot be read, a key of another certificate, a key with a passphrase, a key that
others can read. The private key is parsed to compare its public half and forgotten. Called by `load`.
"""

from __future__ import annotations

import errno
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.declared.files import absolute, as_declared, read_bytes
from reconciler.declared.source import Source
from reconciler.declared.strength import STRONG, weakness
from reconciler.declared.syntax import error
from reconciler.expected import ExpectedError
from reconciler.model import Diagnostic, Key, Resource, Severity
from schemas.v1.certificate import Certificate

if TYPE_CHECKING:
    from cryptography.x509 import Certificate as PemCertificate

_CERTIFICATE, _KEY = "certificateFile", "privateKeyFile"
#: What a declaration leaves to the file that it names.
FILLED_IN = ("thumbprint", "chain")
_NAMES_SHOWN = 4
_USUAL = "make a key that clients know: RSA, or ECDSA with P-256"


class _BadFileError(Exception):
    """A file cannot be used; the text says why, after "certificateFile cert.pem ", and `hint` how to go on."""

    def __init__(self, why: str, hint: str) -> None:
        super().__init__(why)
        self.hint = hint


def resolve_certificates(
    resources: Mapping[Key, Resource], source: Source
) -> tuple[dict[Key, Resource], list[Diagnostic]]:
    """The resources that name certificate files, with absolute paths and thumbprints, which stand where the file is
    named; and what is wrong with them.

    From a source that holds no secrets, certificates count as far as they are there, and keys are not looked for."""
    resolved: dict[Key, Resource] = {}
    problems: list[Diagnostic] = []
    for key, resource in resources.items():
        if isinstance(resource.spec, Certificate) and resource.spec.certificate_file is not None:
            spec, found = _resolve(resource, resource.spec, source)
            file = resource.position(_CERTIFICATE)
            positions = {**dict.fromkeys(FILLED_IN, file), **resource.positions}
            notes = {**resource.notes, **_notes(spec, source)}
            resolved[key] = replace(resource, spec=spec, positions=positions, notes=notes)
            problems.extend(found)
    return resolved, problems


def _notes(spec: Certificate, source: Source) -> dict[str, str]:
    """Of the thumbprint: what the certificate says of itself, for whoever reads a plan."""
    if spec.thumbprint is None or not source.exists(Path(str(spec.certificate_file))):
        return {}
    try:
        ends = _certificate(str(spec.certificate_file), source).not_valid_after_utc
    except _BadFileError:
        return {}
    names = names_in(spec, source)
    more = [f"and {len(names) - _NAMES_SHOWN} more"] if len(names) > _NAMES_SHOWN else []
    return {"thumbprint": ", ".join([*names[:_NAMES_SHOWN], *more, f"ends {ends:%Y-%m-%d}"])}


def _resolve(resource: Resource, spec: Certificate, source: Source) -> tuple[Certificate, list[Diagnostic]]:
    certificate_file = absolute(str(spec.certificate_file), resource.position(_CERTIFICATE).file)
    key_file = absolute(str(spec.private_key_file), resource.position(_KEY).file)
    update: dict[str, object] = {"certificate_file": certificate_file, "private_key_file": key_file}
    if not (source.holds_secrets or source.exists(Path(certificate_file))):
        return spec.model_copy(update=update), []
    problems = list(_problems(resource, certificate_file, key_file, source))
    if not problems or all(problem.severity is Severity.WARNING for problem in problems):
        thumbprint, *chain = _thumbprints(_certificates(certificate_file, source))
        update |= {"thumbprint": thumbprint, "chain": tuple(chain)}
        problems.extend(_thumbprint_problems(resource, spec, thumbprint, tuple(chain)))
    return spec.model_copy(update=update), problems


def _problems(
    resource: Resource, certificate_file: str, key_file: str, source: Source
) -> Iterator[Diagnostic]:
    certificate = public_key = None
    try:
        certificate = _certificate(certificate_file, source)
    except _BadFileError as failure:
        yield _about(resource, _CERTIFICATE, certificate_file, failure)
    try:
        public_key = _public_half(key_file) if source.holds_secrets else None
    except _BadFileError as failure:
        yield _about(resource, _KEY, key_file, failure)
    if certificate is None:
        return
    if public_key is not None and _spki(certificate.public_key()) != public_key:
        mismatch = _BadFileError(
            "is not the key of this certificate", "name the key that the certificate was made for"
        )
        yield _about(resource, _KEY, key_file, mismatch)
    if (weak := weakness(_certificates(certificate_file, source))) is not None:
        hint = f"ask for a new certificate: {STRONG}"
        yield _about(resource, _CERTIFICATE, certificate_file, _BadFileError(weak, hint))
    if certificate.not_valid_after_utc < datetime.now(UTC):
        expired = _BadFileError(
            f"expired at {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC", "renew it"
        )
        found = _about(resource, _CERTIFICATE, certificate_file, expired)
        code = "certificate-expired"
        yield replace(found, code=code, severity=Severity.WARNING, allowed=resource.allows(code))


def _about(resource: Resource, path: str, file: str, failure: _BadFileError) -> Diagnostic:
    position = resource.position(path)
    message = f"{path}: {as_declared(file, position.file)} {failure}"
    return error("certificate", message, position, failure.hint)


def _thumbprint_problems(
    resource: Resource, spec: Certificate, found: str, chain: tuple[str, ...]
) -> Iterator[Diagnostic]:
    hint = "correct it, or leave it out: it is filled in from the file"
    if spec.thumbprint is not None and spec.thumbprint != found:
        message = f"thumbprint: the file's certificate has {found}"
        yield error("certificate", message, resource.position("thumbprint"), hint)
    if spec.chain and spec.chain != chain:
        message = f"chain: after its certificate the file has {', '.join(chain) or 'no other'}"
        yield error("certificate", message, resource.position("chain"), hint)


@lru_cache(maxsize=256)
def _certificates_of(pem: bytes) -> tuple[PemCertificate, ...]:
    """The certificate, and its chain after it."""
    from cryptography.exceptions import UnsupportedAlgorithm

    from schemas.v1.certificate_file import UnreadableCertificateError, certificates_in

    try:
        return certificates_in(pem)
    except UnsupportedAlgorithm:
        raise _BadFileError("has a key of a kind that cannot serve", _USUAL) from None
    except UnreadableCertificateError as failure:
        raise _BadFileError(str(failure), "ask for a new certificate; clients may refuse this one") from None
    except ValueError:
        hint = "name a PEM file that starts with -----BEGIN CERTIFICATE-----"
        raise _BadFileError("holds no certificate in PEM", hint) from None


def names_in(spec: Certificate, source: Source) -> tuple[str, ...]:
    """The host names in the certificate that `spec` reads from a file, lower-cased; empty when there is none to read,
    and for a self-signed one, whose names are declared."""
    from schemas.v1.certificate_file import host_names

    if spec.certificate_file is None or not source.exists(Path(spec.certificate_file)):
        return ()
    try:
        certificate = _certificate(spec.certificate_file, source)
    except _BadFileError:
        return ()
    return tuple(name.lower() for name in host_names(certificate))


def thumbprints_in(file: str) -> tuple[str, ...]:
    """Of the certificate that is in the file now, and of its chain after it: SHA-256 of each one's DER, in hex. Raises
    ExpectedError without one."""
    return _thumbprints(_readable(file))


def not_after(file: str) -> datetime:
    """When the certificate in the file ends. Raises as `thumbprints_in` does."""
    return _readable(file)[0].not_valid_after_utc


def _readable(file: str) -> tuple[PemCertificate, ...]:
    try:
        return _certificates_of(_read(file, read_bytes))
    except _BadFileError as failure:
        raise ExpectedError(f"{file} {failure}") from failure


def _thumbprints(certificates: Iterable[PemCertificate]) -> tuple[str, ...]:
    from cryptography.hazmat.primitives.hashes import SHA256

    return tuple(one.fingerprint(SHA256()).hex() for one in certificates)


def _certificate(file: str, source: Source) -> PemCertificate:
    return _certificates(file, source)[0]


def _certificates(file: str, source: Source) -> tuple[PemCertificate, ...]:
    return _certificates_of(_read(file, source.read))


def _public_half(file: str) -> bytes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    pem = _read(file, read_bytes)
    mode = stat.S_IMODE(Path(file).stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise _BadFileError(
            f"can be read by others (mode {mode:04o})", "chmod 600 it; a private key is its owner's alone"
        )
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        raise _BadFileError(
            "is protected by a passphrase", "write it without one, readable by its owner alone"
        ) from None
    except UnsupportedAlgorithm:
        raise _BadFileError("is of a kind that cannot serve", _USUAL) from None
    except ValueError:
        hint = "name a PEM file that starts with -----BEGIN PRIVATE KEY-----"
        raise _BadFileError("holds no private key in PEM", hint) from None
    return _spki(key.public_key())


def _spki(key: object) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    encoded: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return encoded


def _read(file: str, read: Callable[[Path], bytes]) -> bytes:
    try:
        return read(Path(file))
    except FileNotFoundError:
        raise _BadFileError(
            "does not exist", "a path is relative to this file; create it or correct the path"
        ) from None
    except OSError as failure:
        hint = "name a PEM file" if failure.errno == errno.EINVAL else "check its permissions"
        raise _BadFileError(f"cannot be read: {failure.strerror}", hint) from None
