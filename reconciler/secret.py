"""References to secrets and secret values, as types that cannot be printed by accident.

A `SecretRef` names where a secret lies; `resolve` reads it at the moment it is needed. A `SecretValue` shows nothing in
`repr`, `str` or JSON; only `reveal` gives the text, and `digest` a keyed digest that tells whether it changed.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from reconciler.age import AgeError, NoIdentityError, decrypt
from reconciler.expected import ExpectedError
from schemas.v1.limits import MAX_SECRET_OCTETS


class SecretError(ExpectedError):
    """A secret could not be read; the text says which reference and why, never the value."""


class LockedSecretError(SecretError):
    """The secret is there and encrypted, and nobody here has an identity that opens it: `why` that is, the same for
    every secret that it is so of."""

    def __init__(self, location: str, why: str) -> None:
        super().__init__(f"encrypted secret {location} {why}")
        self.why = why


@dataclass(frozen=True, slots=True)
class SecretRef:
    """`{file: path}`, `{encrypted: path}` (absolute here; relative to the declaring file in YAML) or `{env: NAME}`."""

    source: Literal["file", "env", "encrypted"]
    location: str

    def __str__(self) -> str:
        return f"{self.source} {self.location}"


class SecretValue:
    """A secret's text behind a type that never shows it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the one place that hands it to the target."""
        return self._text

    def digest(self, key: bytes) -> str:
        """Hex HMAC-SHA256 under the target's digest key; equal digests mean equal secrets."""
        return hmac.new(key, self._text.encode(), hashlib.sha256).hexdigest()

    def __repr__(self) -> str:
        return "SecretValue(***)"


def resolve(ref: SecretRef) -> SecretValue:
    """Read the secret; one trailing line end of a file is not part of it. Raises SecretError; LockedSecretError when
    it takes an identity that is not here."""
    text = _READ[ref.source](ref.location)
    if not text:
        raise SecretError(f"the secret in {ref} is empty; write the password there")
    if (size := len(text.encode("utf-8", "surrogateescape"))) > MAX_SECRET_OCTETS:
        raise SecretError(
            f"the secret in {ref} is {size} octets long; a password has at most {MAX_SECRET_OCTETS}, "
            "choose a shorter one"
        )
    return SecretValue(text)


def _from_environment(name: str) -> str:
    if (text := os.environ.get(name)) is None:
        raise SecretError(f"environment variable {name} is not set; export it before you run this")
    return text


def _from_file(location: str) -> str:
    path = Path(location)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SecretError(
            f"secret file {path} cannot be read ({error}); create it with the password as text"
        ) from error
    return without_line_end(text)


def _from_encrypted(location: str) -> str:
    try:
        return without_line_end(decrypt(Path(location).read_bytes()))
    except NoIdentityError as error:
        raise LockedSecretError(location, str(error)) from error
    except AgeError as error:
        raise SecretError(f"encrypted secret {location} cannot be read: {error}") from error
    except OSError as error:
        raise SecretError(f"encrypted secret {location} cannot be read: {error.strerror}") from error


def without_line_end(text: str) -> str:
    """The text without one line end, which editors and shells add."""
    return text.removesuffix("\n").removesuffix("\r")


_READ = {"env": _from_environment, "file": _from_file, "encrypted": _from_encrypted}
