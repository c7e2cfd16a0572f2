"""Secrets that come in through the control API: hashed before they reach the live configuration, never kept.

argon2id is slow on purpose, so it runs in two threads and the event loop goes on. The digest is keyed; it
tells the reconciler whether a secret changed, and nothing else. A secret that is the same as before keeps its
hash.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher

from runtime.directory.logon import hasher
from runtime.live import LiveStore
from schemas.v1.base import Spec
from schemas.v1.mailbox import Mailbox
from schemas.v1.mailbox_database import MailboxDatabase
from schemas.v1.server import PasswordHashing, Server

_THREADS = 2


class SecretHasher:
    """Turns plain secrets into digests and credentials."""

    def __init__(self, store: LiveStore) -> None:
        self._store = store
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="secret-hash")

    def digest(self, plain: str) -> str:
        """Hex HMAC-SHA256 under the runtime's digest key."""
        return hmac.new(self._store.digest_key, plain.encode(), hashlib.sha256).hexdigest()

    async def credentials(
        self, spec: Spec, plain: Mapping[str, str], *, old: Mapping[str, str], old_digests: Mapping[str, str]
    ) -> dict[str, str]:
        """An argon2id hash for each secret, at the cost that the server of the mailbox declares. `old` and
        `old_digests` are what the resource has: an unchanged secret of unchanged cost keeps its hash."""
        costly = hasher(self._parameters(spec))
        hashes = {}
        for path, text in plain.items():
            kept = old.get(path) if old_digests.get(path) == self.digest(text) else None
            if kept is None or costly.check_needs_rehash(kept):
                kept = await self._hash(costly, text)
            hashes[path] = kept
        return hashes

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _hash(self, costly: PasswordHasher, text: str) -> str:
        return await asyncio.get_running_loop().run_in_executor(self._threads, costly.hash, text)

    def _parameters(self, spec: Spec) -> PasswordHashing:
        """Those of the server that owns the mailbox's database; the defaults while there is none."""
        database = self._store.get("MailboxDatabase", spec.database) if isinstance(spec, Mailbox) else None
        home = database.spec.server if database and isinstance(database.spec, MailboxDatabase) else None
        server = self._store.get("Server", home) if home else None
        return (
            server.spec.password_hashing if server and isinstance(server.spec, Server) else PasswordHashing()
        )
