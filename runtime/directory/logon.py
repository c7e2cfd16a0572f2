"""Decides whether a name and a password open a mailbox.

An unknown user costs the same hash as a wrong password and gives the same answer. Hashes run in a few threads
with a bounded queue, because argon2 is meant to be slow and an attacker must not fill the process with it: one
address holds a part of the queue at most, and waits longer and longer for the next guess.
Whether a protocol is enabled for the mailbox is the caller's to check. Called by the front ends and the SMTP
services.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from runtime.directory.credential_cache import CredentialCache
from runtime.directory.directory import Directory, MailboxEntry, cost_of_hash
from runtime.directory.names import parse_logon_name
from runtime.throttling.logon_penalty import LogonPenalty, LogonShares, is_loopback, network_of
from schemas.v1.limits import MAX_SECRET_OCTETS
from schemas.v1.server import PasswordHashing

#: argon2 threads of a host process: two hashes at once leave a core of a small machine to the event loop.
WORKERS = 2
#: Hashes waiting for a thread. Beyond that a logon is told to come again: at 20 ms a hash this is about 0.6 s.
QUEUE_LIMIT = 64
#: Of these, places that only the health mailbox takes: the runtime's own probes log on through any flood.
RESERVED_PLACES = 1
#: Addresses that it takes at least to fill the queue: none holds more than this part of it.
ADDRESSES_FOR_A_FULL_QUEUE = 2


class BusyError(Exception):
    """Too many logons wait for their password hash."""

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} logons wait for their password hash already; try again in a moment")


class Authenticator:
    """Verifies credentials against the directory. Used from the event loop only. `key` is a secret that outlives the
    process, so that what an unknown name costs does not change with a restart."""

    def __init__(
        self,
        directory: Directory,
        *,
        workers: int = WORKERS,
        queue_limit: int = QUEUE_LIMIT,
        key: bytes | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
        self._cache = CredentialCache(clock)
        self._workers = ThreadPoolExecutor(workers, thread_name_prefix="password-hash")
        self._queue_limit = queue_limit
        self._waiting = 0
        self._penalty = LogonPenalty(clock)
        self._shares = LogonShares(queue_limit // ADDRESSES_FOR_A_FULL_QUEUE)
        self._decoy_key = hashlib.blake2b(key or secrets.token_bytes(32), person=b"decoy").digest()

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

    async def verify(self, logon_name: str, password: bytes, *, address: str) -> MailboxEntry | None:
        """The mailbox that these credentials open, or None for an unknown user and a wrong password alike; after a
        while when logons from the client's `address` failed before. Raises BusyError when the queue of hashes, or
        the address's part of it, is full. A logon that is cancelled counts as failed: it cost as much."""
        if self._is_probe(logon_name, address):
            return await self._verify(logon_name, password, places=self._queue_limit)
        network = network_of(address)
        attempt = self._cache.digest(logon_name.encode("utf-8", "replace"), password)
        with self._shares.taken(network) as is_admitted:
            if not is_admitted:
                raise BusyError(self._waiting)
            try:
                entry = await self._verify_late(logon_name, password, self._penalty.delay(network))
            except asyncio.CancelledError:
                self._penalty.failed(network, attempt)
                raise
        if entry is None:
            self._penalty.failed(network, attempt)
        return entry

    def close(self) -> None:
        """Let the threads end; hashes that were not begun are dropped."""
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _is_probe(self, logon_name: str, address: str) -> bool:
        """The health mailbox's password is random, so nobody guesses it; and only probes of this machine use it."""
        entry = self._directory.find_logon(logon_name)
        return entry is not None and entry.is_health_mailbox and is_loopback(address)

    async def _verify_late(self, logon_name: str, password: bytes, delay: float) -> MailboxEntry | None:
        """The penalty comes before the hash and holds no place in its queue."""
        if delay:
            await asyncio.sleep(delay)
        return await self._verify(logon_name, password, places=self._queue_limit - RESERVED_PLACES)

    async def _verify(self, logon_name: str, password: bytes, *, places: int) -> MailboxEntry | None:
        entry = self._directory.find_logon(logon_name)
        stored = entry.password_hash if entry is not None else None
        is_possible = 0 < len(password) <= MAX_SECRET_OCTETS
        given = password if is_possible else b""
        is_right = await self._hash(stored or self._decoy(logon_name), given, places)
        if entry is None or stored is None or not is_possible or not is_right:
            return None
        return self._confirmed(entry, stored, password)

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

    async def _hash(self, stored: str, password: bytes, places: int) -> bool:
        if self._waiting >= places:
            raise BusyError(self._waiting)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._workers, verify_hash, stored, password
            )
        finally:
            self._waiting -= 1

    def _decoy(self, logon_name: str) -> str:
        """A stored hash that nothing matches and that costs what the hash of some mailbox costs: always the same one's
        for the same name, so that neither one attempt nor many tell a name that exists from one that does not."""
        logon = parse_logon_name(logon_name)
        name = logon.name if logon else logon_name
        if (entry := self._directory.find_logon(name)) is not None and entry.password_hash:
            return _without_password(cost_of_hash(entry.password_hash))  # another domain's: DOMAIN\\alice
        costs = self._directory.hash_costs()
        if not costs:
            server = self._directory.server_spec()
            return _without_password(_cost(server.password_hashing if server else PasswordHashing()))
        digest = hashlib.blake2b(name.encode("utf-8", "replace"), key=self._decoy_key, digest_size=8).digest()
        return _without_password(_chosen(costs, int.from_bytes(digest)))


def _chosen(costs: Mapping[str, int], number: int) -> str:
    """One of the costs by a number of 64 bits, each as likely as it is frequent. Few mailboxes more or less change what
    few numbers choose."""
    place = number * sum(costs.values()) >> 64
    ends = itertools.accumulate(costs.values())
    return next(cost for cost, end in zip(costs, ends, strict=True) if place < end)


def _cost(parameters: PasswordHashing) -> str:
    return f"$argon2id$v=19$m={parameters.memory_cost},t={parameters.time_cost},p={parameters.parallelism}"


def _without_password(cost: str) -> str:
    """Random bytes in argon2's encoding, behind what says how they were made."""
    salt, tag = (base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (16, 32))
    return f"{cost}${salt}${tag}"


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
