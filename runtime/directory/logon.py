"""Decides whether a name and a password open a mailbox.

An unknown user costs the same hash as a wrong password and gives the same answer. Hashes run in a few threads
with a bounded queue, because argon2 is meant to be slow and an attacker must not fill the process with it.
Whether a protocol is enabled for the mailbox is the caller's to check. Called by the front ends and the SMTP
services.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from runtime.directory.credential_cache import CredentialCache
from runtime.directory.directory import Directory, MailboxEntry
from schemas.v1.server import PasswordHashing

#: argon2 threads of a host process: two hashes at once leave a core of a small machine to the event loop.
WORKERS = 2
#: Hashes waiting for a thread. Beyond that a logon is told to come again: at 20 ms a hash this is about 0.6 s.
QUEUE_LIMIT = 64
#: No password is longer; RFC 4616 sets no limit, so this one keeps the hash's input small.
MAX_PASSWORD = 1024


class BusyError(Exception):
    """Too many logons wait for their password hash."""

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} logons wait for their password hash already; try again in a moment")


class Authenticator:
    """Verifies credentials against the directory. Used from the event loop only."""

    def __init__(
        self,
        directory: Directory,
        *,
        workers: int = WORKERS,
        queue_limit: int = QUEUE_LIMIT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
        self._cache = CredentialCache(clock)
        self._workers = ThreadPoolExecutor(workers, thread_name_prefix="password-hash")
        self._queue_limit = queue_limit
        self._waiting = 0

    def verify_cached(self, logon_name: str, password: bytes) -> MailboxEntry | None:
        """The mailbox, when these very credentials were verified within credentialCacheTimeToLive; None says nothing
        about them: ask `verify`."""
        server = self._directory.server_spec()
        entry = self._directory.find_logon(logon_name)
        if server is None or entry is None or entry.password_hash is None:
            return None
        time_to_live = server.credential_cache_time_to_live.total_seconds()
        digest = self._digest(entry, entry.password_hash, password)
        return entry if self._cache.holds(digest, time_to_live) else None

    async def verify(self, logon_name: str, password: bytes) -> MailboxEntry | None:
        """The mailbox that these credentials open, or None for an unknown user and a wrong password alike. Raises
        BusyError when the queue of hashes is full."""
        if len(password) > MAX_PASSWORD:
            password = b""
        entry = self._directory.find_logon(logon_name)
        stored = entry.password_hash if entry is not None and password else None
        is_right = await self._hash(stored, password)
        if entry is None or stored is None or not is_right:
            return None
        return self._confirmed(entry, stored, password)

    def close(self) -> None:
        """Let the threads end; hashes that were not begun are dropped."""
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _confirmed(self, entry: MailboxEntry, stored: str, password: bytes) -> MailboxEntry | None:
        """The password may have been changed, or the mailbox removed, while the hash was computed."""
        current = self._directory.mailbox(entry.name)
        if current is None or current.password_hash != stored:
            return None
        if server := self._directory.server_spec():
            self._cache.remember(self._digest(current, stored, password), server.credential_cache_size)
        return current

    def _digest(self, entry: MailboxEntry, stored: str, password: bytes) -> bytes:
        return self._cache.digest(entry.name.encode(), stored.encode(), password)

    async def _hash(self, stored: str | None, password: bytes) -> bool:
        if self._waiting >= self._queue_limit:
            raise BusyError(self._waiting)
        self._waiting += 1
        loop = asyncio.get_running_loop()
        server = self._directory.server_spec()
        try:
            parameters = server.password_hashing if server else PasswordHashing()
            return await loop.run_in_executor(
                self._workers, verify_hash, stored or _decoy(parameters), password
            )
        finally:
            self._waiting -= 1


def _decoy(parameters: PasswordHashing) -> str:
    """A stored hash that nothing matches and that costs what a real one does: random bytes in argon2's encoding."""
    salt, tag = (base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (16, 32))
    cost = f"m={parameters.memory_cost},t={parameters.time_cost},p={parameters.parallelism}"
    return f"$argon2id$v=19${cost}${salt}${tag}"


def hasher(parameters: PasswordHashing) -> PasswordHasher:
    """argon2id with the cost that a server declares (memory in KiB)."""
    return PasswordHasher(
        time_cost=parameters.time_cost,
        memory_cost=parameters.memory_cost,
        parallelism=parameters.parallelism,
        type=Type.ID,
    )


def verify_hash(stored: str, password: bytes) -> bool:
    """Blocking (tens of milliseconds). A stored hash that cannot be read matches nothing."""
    try:
        return PasswordHasher().verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False
