"""One daemon at a time for one state directory: a lease that is renewed, expires, and carries a fencing token.

    lease.json      who holds it, since when, the token, and a count of renewals; replaced whole
    lease.lock      held for the length of one read and write of lease.json, never longer
    holder-<token>  held (flock) by the holder for as long as it lives

A contender takes the lease when it was given back, when the holder's process is gone (its flock is free and it ran on
this host), or when the renewals have stood still for `ttl` seconds *of the contender's own clock*: no two clocks are
ever compared. Each taking raises the token. The holder stops writing when it could not renew for two thirds of `ttl`,
or when it reads another token than its own; `check` says so before every write (see `fence`). Even a holder that
sleeps between that check and its write harms nothing: it still has the apply lock, and every write compares revisions.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import secrets as randomness
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from reconciler.targets.target import NotRunningError

logger = logging.getLogger("reconciler.daemon")

#: Seconds without a renewal after which others may take the lease; it is renewed three times in that time.
TTL = 15.0


class LeaseLostError(NotRunningError):
    """This process does not hold the lease any more, so it may not write. As nothing is sent without the lease, the
    transaction treats it as a target that is not there: what it left is settled by the next holder."""


@dataclass(frozen=True, slots=True)
class Holder:
    """What lease.json says. `renewals` only ever grows while the token stays."""

    host: str
    pid: int
    since: str
    identity: str
    token: int
    renewals: int = 0
    is_released: bool = False

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


class Lease:
    """The lease of one state directory as one process sees it. `take` and `give_back` belong to one thread; renewing
    is done by a thread of its own, so that a long apply does not lose it."""

    def __init__(
        self, directory: Path, *, ttl: float = TTL, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._directory = directory
        self._ttl = ttl
        self._now = monotonic
        self._mine: Holder | None = None
        self._alive: int | None = None
        self._renewed_at = 0.0
        self._seen: tuple[int, int] | None = None
        self._seen_at = 0.0
        self._lost: str | None = None
        self._stop = threading.Event()

    @property
    def holder(self) -> Holder | None:
        """What this process holds; None before it took the lease and after it gave it back."""
        return self._mine

    def current(self) -> Holder | None:
        """What the file says; None when nobody ever held it, or when it is damaged."""
        try:
            return Holder(**json.loads((self._directory / "lease.json").read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def take(self) -> bool:
        """Try once; false when somebody else has it, and `current` says who."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._locked():
            found = self.current()
            if not self._is_free(found):
                return False
            self._become_holder(found)
        threading.Thread(target=self._renew_until_stopped, name="lease", daemon=True).start()
        return True

    def check(self) -> None:
        """Raise LeaseLostError unless this process still holds the lease."""
        if self._mine is None:
            raise LeaseLostError("the lease of the state directory is not held")
        if self._lost is None and self._now() - self._renewed_at > self._ttl * 2 / 3:
            self._lost = f"it could not be renewed for {self._ttl * 2 / 3:g} seconds"
        if self._lost is None:
            self._compare(self.current())
        if self._lost is not None:
            raise LeaseLostError(f"the lease of the state directory was lost: {self._lost}")

    def give_back(self) -> None:
        """Let the next one have it at once."""
        self._stop.set()
        with self._locked():
            found = self.current()
            if self._mine is not None and found is not None and found.token == self._mine.token:
                self._write(replace(found, is_released=True))
        self._mine = None
        if self._alive is not None:
            os.close(self._alive)
            self._alive = None

    # -- taking --------------------------------------------------------------------------------------------------------

    def _is_free(self, found: Holder | None) -> bool:
        if found is None or found.is_released:
            return True
        if found.host == socket.gethostname() and not self._is_alive(found):
            return True
        seen = (found.token, found.renewals)
        if seen != self._seen:
            self._seen, self._seen_at = seen, self._now()
        return self._now() - self._seen_at > self._ttl

    def _become_holder(self, found: Holder | None) -> None:
        token = (found.token if found else self._last_token()) + 1
        self._alive = os.open(self._alive_file(token), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
        since = datetime.now(UTC).isoformat(timespec="seconds")
        identity = randomness.token_hex(8)
        self._mine = Holder(socket.gethostname(), os.getpid(), since, identity, token)
        self._write(self._mine)
        self._renewed_at = self._now()
        for older in self._directory.glob("holder-*"):
            if older != self._alive_file(token):
                older.unlink(missing_ok=True)

    def _last_token(self) -> int:
        """Also when lease.json was lost, no token is given twice."""
        found = [path.name.removeprefix("holder-") for path in self._directory.glob("holder-*")]
        return max((int(text) for text in found if text.isdecimal()), default=0)

    def _is_alive(self, holder: Holder) -> bool:
        """True while the process holds its file; the kernel lets go of it with the process, zombie or not."""
        try:
            descriptor = os.open(self._alive_file(holder.token), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def _alive_file(self, token: int) -> Path:
        return self._directory / f"holder-{token}"

    # -- renewing ------------------------------------------------------------------------------------------------------

    def _renew_until_stopped(self) -> None:
        while not self._stop.wait(self._ttl / 3):
            if self._lost is not None:
                return
            try:
                self._renew()
            except OSError as error:
                # The state directory may be full or away for a moment; `check` counts the time since the last renewal.
                logger.warning("the lease could not be renewed: %s", error)

    def _renew(self) -> None:
        with self._locked():
            found = self.current()
            if self._stop.is_set() or not self._compare(found) or found is None:
                return
            self._write(replace(found, renewals=found.renewals + 1))
            self._renewed_at = self._now()

    def _compare(self, found: Holder | None) -> bool:
        """True when the file still says that it is ours."""
        mine = self._mine
        if mine is None:
            return False
        if found is None:
            self._lost = "its file is gone"
        elif (found.token, found.identity) != (mine.token, mine.identity):
            self._lost = f"{found} took it"
        return self._lost is None

    # -- the files -----------------------------------------------------------------------------------------------------

    def _write(self, holder: Holder) -> None:
        path = self._directory / "lease.json"
        temporary = path.with_suffix(f".{os.getpid()}")
        temporary.touch(0o600)
        temporary.write_text(json.dumps(asdict(holder)) + "\n", encoding="utf-8")
        temporary.replace(path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self._directory / "lease.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
