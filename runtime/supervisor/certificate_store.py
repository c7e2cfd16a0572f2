"""The server's own copies of certificates that are declared as files, with their keys.

A pair is known by what is live of it, its thumbprint and its chain, and never changes: another certificate is another
pair. Both files are on disk before a resource names them, the key 0600 from its first byte, and they stay for as long
as any version of a resource names them, so that neither a restart nor a way back needs the files of a declaration. A
version whose pair somebody has removed does not become live again. A key of another certificate is refused, and so is
one that others can read or that has a passphrase, and a certificate that has a part that cannot be read. Called by the
control API before it writes, by `certificates` for the paths, by `main` at the start, and by `housekeeping`.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from runtime.live import LiveConfigurationError, LiveStore, NoSuchVersionError
from runtime.live.resource import Row, resource_of
from runtime.net.tls import TlsError, server_context
from runtime.supervisor.layout import Layout
from schemas.v1.certificate import Certificate
from schemas.v1.certificate_file import MALFORMED, UnreadableCertificateError, certificates_in

logger = logging.getLogger("runtime.supervisor")

T = TypeVar("T")

#: Bytes of a PEM file that are read at most.
LARGEST = 1024 * 1024
#: A pair that nothing names yet may be about to be named.
GRACE = timedelta(days=1)

_USUAL = "RSA, and ECDSA with P-256, are what clients know"
_STAYS = "stays where it was declared"


class CertificateFileError(Exception):
    """A declared certificate cannot be taken over; `path` is the field (YAML name) that says so."""

    def __init__(self, path: str, text: str) -> None:
        super().__init__(text)
        self.path = path


@dataclass(frozen=True, slots=True)
class _Pair:
    """A certificate with its chain and its key, as PEM."""

    thumbprint: str
    chain: tuple[str, ...]
    certificates: bytes
    key: bytes


def stored_files(layout: Layout, server: str, spec: Certificate) -> tuple[Path, Path]:
    """Certificate file and key file of a certificate that is known by its thumbprint, whether they exist or not."""
    name = str(spec.thumbprint)
    if spec.chain:
        name += f"-{hashlib.sha256(''.join(spec.chain).encode()).hexdigest()[:16]}"
    directory = layout.stored_certificates(server)
    return directory / f"{name}.crt", directory / f"{name}.key"


def take_in(layout: Layout, server: str, spec: Certificate) -> Certificate:
    """What becomes live of a certificate, its pair stored. The files are read only when the server has not got it yet.
    Raises CertificateFileError, also when it cannot be stored."""
    if spec.self_signed is not None:
        return spec
    if spec.thumbprint is not None and _has(layout, server, spec):
        return spec.as_live()
    pair = _read(server, spec)
    if spec.thumbprint not in (None, pair.thumbprint) or spec.chain not in ((), pair.chain):
        raise CertificateFileError(
            "certificateFile",
            f"{spec.certificate_file} holds the certificate {pair.thumbprint} with {len(pair.chain)} after it, and not "
            f"{spec.thumbprint} with {len(spec.chain)}; plan again",
        )
    kept = spec.model_copy(update={"thumbprint": pair.thumbprint, "chain": pair.chain}).as_live()
    certificate, key = stored_files(layout, server, kept)
    try:
        _store(pair, certificate, key)
    except OSError as error:
        where = error.filename or certificate.parent
        raise CertificateFileError(
            "certificateFile", f"the server cannot keep its copy: {where}: {error.strerror}"
        ) from error
    return kept


def check_kept(layout: Layout, store: LiveStore, *, key: tuple[str, str], revision: int) -> None:
    """Raises CertificateFileError when that version of the resource is a certificate whose pair is not there any more.
    A version that is not there is the store's to refuse."""
    try:
        row = store.version(key, revision)
        spec = resource_of(row).spec if row else None
    except (NoSuchVersionError, LiveConfigurationError):
        return
    if isinstance(spec, Certificate) and spec.thumbprint is not None and spec.certificate_file is None:
        server = key[1].partition("/")[0]
        if not _has(layout, server, spec):
            raise _missing(server, spec)


def take_in_all(layout: Layout, store: LiveStore) -> None:
    """Store what an earlier version left where it was declared, as far as it is there and still the same. What is not
    is used from there as before, and told. Whatever is wrong with one, the others and the start go on."""
    live = {row.revision for row in store.rows("Certificate")}
    for row, spec in _versions(store):
        if spec.certificate_file is None:
            continue
        try:
            store.respell(row, take_in(layout, row.name.partition("/")[0], spec))
        except CertificateFileError as error:
            level = logging.WARNING if row.revision in live else logging.INFO
            logger.log(level, "Certificate/%s, version %d, %s: %s", row.name, row.revision, _STAYS, error)
        except Exception:
            # No file that a version names, perhaps an old one, may decide whether mail is served.
            logger.exception("Certificate/%s, version %d, %s", row.name, row.revision, _STAYS)


def forget_pairs(layout: Layout, store: LiveStore, now: datetime) -> int:
    """Delete the pairs that no version names any more; returns how many files that were. Nothing is deleted while there
    is a version that cannot be read."""
    try:
        named = {
            file
            for row, spec in _versions(store, strict=True)
            for file in (stored_files(layout, row.name.partition("/")[0], spec) if spec.thumbprint else ())
        }
    except LiveConfigurationError:
        return 0
    before = (now - GRACE).timestamp()
    old = [file for file in layout.all_stored_certificates() if file not in named]
    old = [file for file in old if file.stat().st_mtime < before]
    for file in old:
        file.unlink()
    return len(old)


def _versions(store: LiveStore, *, strict: bool = False) -> Iterator[tuple[Row, Certificate]]:
    """Every version that is kept; one that cannot be read is left out, or raises LiveConfigurationError."""
    for row in store.versions("Certificate"):
        try:
            spec = resource_of(row).spec
        except LiveConfigurationError:
            if strict:
                raise
            continue
        if isinstance(spec, Certificate):
            yield row, spec


def _has(layout: Layout, server: str, spec: Certificate) -> bool:
    """True when the pair is there as it was stored; then nobody forgets it before it is named."""
    certificate, key = stored_files(layout, server, spec)
    try:
        found = _identity(x509.load_pem_x509_certificates(certificate.read_bytes()))
        server_context(certificate, key)
        os.utime(certificate)
        os.utime(key)
    except (TlsError, OSError, *MALFORMED):
        return False
    return found == (spec.thumbprint, spec.chain)


def _read(server: str, spec: Certificate) -> _Pair:
    if spec.certificate_file is None or spec.private_key_file is None:
        raise _missing(server, spec)
    certificates = _parsed("certificateFile", spec.certificate_file, certificates_in)
    key = _parsed("privateKeyFile", spec.private_key_file, lambda pem: load_pem_private_key(pem, None))
    _check_private(Path(spec.private_key_file))
    if key.public_key() != certificates[0].public_key():
        raise CertificateFileError(
            "privateKeyFile", f"{spec.private_key_file} is not the key of {spec.certificate_file}"
        )
    thumbprint, chain = _identity(certificates)
    return _Pair(
        thumbprint=thumbprint,
        chain=chain,
        certificates=b"".join(one.public_bytes(Encoding.PEM) for one in certificates),
        key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


def _missing(server: str, spec: Certificate) -> CertificateFileError:
    return CertificateFileError(
        "thumbprint",
        f"{server} has no certificate {spec.thumbprint} with this chain; "
        "declare its certificateFile and privateKeyFile",
    )


def _parsed(path: str, file: str, parse: Callable[[bytes], T]) -> T:
    """Without what the parser says of the content: that might be a key."""
    if not Path(file).is_absolute():
        raise CertificateFileError(
            path, f"{file} is not absolute; relative to what, only a declaration knows"
        )
    try:
        if Path(file).exists() and not Path(file).is_file():
            raise CertificateFileError(path, f"{file} is no file; a pipe would keep the server waiting")
        with Path(file).open("rb") as stream:
            pem = stream.read(LARGEST)
    except OSError as error:
        raise CertificateFileError(path, f"{file} cannot be read: {error.strerror}") from error
    try:
        return parse(pem)
    except UnreadableCertificateError as error:
        raise CertificateFileError(path, f"{file} {error}") from None
    except TypeError:
        raise CertificateFileError(path, f"{file} has a passphrase; write it without one") from None
    except UnsupportedAlgorithm:
        raise CertificateFileError(path, f"{file} is of a kind of key that cannot serve; {_USUAL}") from None
    except ValueError:
        raise CertificateFileError(path, f"{file} holds nothing of that kind in PEM") from None


def _check_private(key: Path) -> None:
    mode = stat.S_IMODE(key.stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise CertificateFileError(
            "privateKeyFile", f"{key} can be read by others than its owner (mode {mode:04o}); chmod 600 it"
        )


def _identity(certificates: Iterable[x509.Certificate]) -> tuple[str, tuple[str, ...]]:
    first, *chain = (one.fingerprint(hashes.SHA256()).hex() for one in certificates)
    return first, tuple(chain)


def _store(pair: _Pair, certificate: Path, key: Path) -> None:
    certificate.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    replace(key, pair.key, mode=0o600)
    replace(certificate, pair.certificates, mode=0o600)
    for directory in certificate.parents[:5]:
        _sync(directory)  # up to the state directory: any of them may be new
    try:
        server_context(certificate, key)
    except TlsError as error:
        certificate.unlink()
        key.unlink()
        raise CertificateFileError("certificateFile", f"it cannot be used: {error}") from error


def replace(file: Path, content: bytes, *, mode: int) -> None:
    """Write beside it, sync, rename: readers see the old file or the new one, never half of it."""
    new = file.with_name(f".{file.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as stream:
        os.fchmod(descriptor, mode)
        stream.write(content)
        stream.flush()
        os.fsync(descriptor)
    new.replace(file)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
