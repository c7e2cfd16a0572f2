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


class SecretError(Exception):
    """A secret could not be read; the text says which reference and why, never the value."""


@dataclass(frozen=True, slots=True)
class SecretRef:
    """`{file: path}` (absolute here; relative to the declaring file in YAML) or `{env: NAME}`."""

    source: Literal["file", "env"]
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
    """Read the secret; one trailing line end of a file is not part of it. Raises SecretError."""
    text = _from_environment(ref.location) if ref.source == "env" else _from_file(Path(ref.location))
    if not text:
        raise SecretError(f"the secret in {ref} is empty; write the password there")
    return SecretValue(text)


def _from_environment(name: str) -> str:
    if (text := os.environ.get(name)) is None:
        raise SecretError(f"environment variable {name} is not set; export it before you run this")
    return text


def _from_file(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SecretError(
            f"secret file {path} cannot be read ({error}); create it with the password as text"
        ) from error
    return text.removesuffix("\n").removesuffix("\r")
