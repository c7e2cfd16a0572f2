"""age encryption (age-encryption.org/v1) for secrets that live in git: who can read, encrypt, decrypt.

Identities (private keys) come from the environment and nowhere else: `RECONCILE_AGE_IDENTITY` is the path of a file,
`RECONCILE_AGE_IDENTITY_KEY` the key itself, for machines that are given secrets as variables. Recipients (public keys)
are text that belongs in git. Both may be age's own X25519 keys or SSH keys. Nothing here writes a file, and no key and
no decrypted text becomes part of an error.
"""

from __future__ import annotations

import importlib
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from reconciler.expected import ExpectedError

IDENTITY_FILE = "RECONCILE_AGE_IDENTITY"
IDENTITY_KEY = "RECONCILE_AGE_IDENTITY_KEY"
_PREFIXES = (b"-----BEGIN AGE ENCRYPTED FILE-----", b"age-encryption.org/v1\n")
_AGE_KEY, _SSH_KEY = "AGE-SECRET-KEY-", "-----BEGIN OPENSSH PRIVATE KEY-----"
_NOT_FOR_US = "no matching keys"  # how the library says that none of the identities is a recipient


class AgeError(ExpectedError):
    """Something cannot be encrypted or decrypted; the text says why and how to go on."""


class NoIdentityError(AgeError):
    """There is no identity here, or none that the text was encrypted to: somebody else can read it."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A new identity: the private text for its owner's file, the public one for the list of recipients."""

    private: str = field(repr=False)
    public: str


def generate() -> KeyPair:
    """A new X25519 key pair."""
    identity = _age().x25519.Identity.generate()
    return KeyPair(str(identity), str(identity.to_public()))


def looks_encrypted(start: bytes) -> bool:
    """True when a file that begins so is age's, in armour or not. 34 bytes are enough."""
    return start.lstrip().startswith(_PREFIXES)


def encrypt(text: str, recipients: Iterable[str]) -> bytes:
    """The text in armour, readable by each recipient (a public key, see `parse_recipient`). Raises AgeError."""
    keys = [parse_recipient(recipient) for recipient in recipients]
    if not keys:
        raise AgeError("there is nobody to encrypt to; write a public key into the list of recipients")
    armoured: bytes = _age().encrypt(text.encode(), keys, armored=True)
    return armoured.rstrip(b"\n") + b"\n"


def decrypt(content: bytes) -> str:
    """What was encrypted. Raises NoIdentityError, or AgeError when the content is damaged or no UTF-8 text."""
    if not looks_encrypted(content):
        raise AgeError("is not encrypted with age; encrypt it with `reconcile secret encrypt`")
    keys = identities()
    try:
        plain: bytes = _age().decrypt(content, list(keys))
        return plain.decode()
    except _age().DecryptError as error:
        if _NOT_FOR_US in str(error).lower():
            raise NoIdentityError("was not encrypted to the identity that is used here") from None
        raise AgeError(f"is damaged ({error}); restore it from git, or encrypt it anew") from None
    except UnicodeDecodeError:
        raise AgeError("holds no UTF-8 text; a secret is text") from None


def identities() -> Sequence[Any]:
    """The keys that the environment gives. Raises NoIdentityError when it gives none, AgeError for a bad one."""
    given = [(text, f"the key in {IDENTITY_KEY}") for text in (os.environ.get(IDENTITY_KEY),) if text]
    if path := os.environ.get(IDENTITY_FILE):
        given.append((_identity_text(Path(path)), f"identity file {path}"))
    if not given:
        raise NoIdentityError(f"needs an identity: pass --identity FILE, or set {IDENTITY_FILE}")
    return [key for text, name in given for key in _identities_in(text, name)]


def parse_recipient(text: str) -> Any:
    """A public key as the library wants it: `age1…` or `ssh-ed25519 …`. Raises AgeError."""
    library = _age()
    if text.upper().startswith(_AGE_KEY):
        raise AgeError(
            "this is a private key; it must not lie in git: make a new one, and list its public key"
        )
    try:
        if text.startswith("ssh-"):
            return library.ssh.Recipient.from_str(text)
        return library.x25519.Recipient.from_str(text)
    except library.RecipientError:
        raise AgeError(
            f"{text!r} is no public key; write one that starts with age1, or an SSH public key"
        ) from None


def _identity_text(path: Path) -> str:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise AgeError(f"identity file {path} cannot be read: {reason}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise AgeError(f"identity file {path} can be read by others (mode {mode:04o}); chmod 600 it")
    return text


@lru_cache(maxsize=8)
def _identities_in(text: str, name: str) -> tuple[Any, ...]:
    """Every key of an identity file; comments and empty lines are none."""
    library = _age()
    try:
        if text.lstrip().startswith(_SSH_KEY):
            return (library.ssh.Identity.from_buffer(text.encode()),)
        lines = [line.strip() for line in text.splitlines()]
        found = tuple(library.x25519.Identity.from_str(line) for line in lines if line.startswith(_AGE_KEY))
    except (library.IdentityError, ValueError):
        raise AgeError(
            f"{name} holds a key that cannot be used; make one with `reconcile secret keygen`"
        ) from None
    if not found:
        raise AgeError(f"{name} holds no line that starts with {_AGE_KEY}1; see `reconcile secret keygen`")
    return found


def _age() -> Any:
    """The library ships no types, and most runs need none of it."""
    return importlib.import_module("pyrage")
