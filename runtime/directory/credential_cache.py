"""Remembers verified credentials for a while, so that not every logon costs a password hash.

An entry is a keyed digest of everything that made the logon true: name, password and the stored hash. The key
is random and lives as long as the process; nothing here can be turned back into a password, and a changed
password changes the digest, so it empties its own entry. Called by `logon.Authenticator` only.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable


class CredentialCache:
    """At most `size` digests, each good for `time_to_live` seconds from its verification; the oldest goes first."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._verified: dict[bytes, float] = {}

    def digest(self, *parts: bytes) -> bytes:
        """A keyed digest over all parts, each with its length before it so that no two lists of parts are alike."""
        whole = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hashlib.blake2b(whole, key=self._key, digest_size=32).digest()

    def holds(self, digest: bytes, time_to_live: float) -> bool:
        """True when this was verified less than `time_to_live` seconds ago."""
        since = self._verified.get(digest)
        return since is not None and self._clock() - since < time_to_live

    def remember(self, digest: bytes, size: int) -> None:
        self._verified.pop(digest, None)
        while self._verified and len(self._verified) >= size:
            del self._verified[next(iter(self._verified))]
        if size > 0:
            self._verified[digest] = self._clock()
