"""What the daemon remembers of its own healing, so that it neither hammers nor fights: kept over restarts.

A resource whose heal failed waits, longer each time. One that was healed often in a short time flaps: it is left alone
until somebody releases it or the files change. A configuration that was rolled back is barred: it is not applied again
until the files say something else. Times are seconds since 1970. Damaged memory counts as none.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from reconciler.state import append_private

FORMAT = "reconciler/ledger/v1"
#: Failed applies that are remembered with the configuration that they were of.
MOST_FAILURES = 100


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait after failures (seconds, doubled each time up to the last), and what flapping is."""

    first_wait: float = 10.0
    last_wait: float = 600.0
    jitter: float = 0.2
    most_heals: int = 3
    within: float = 600.0

    def wait(self, failures: int, *, chance: Callable[[], float] = random.random) -> float:
        """Seconds to wait after so many failures in a row, more or less `jitter` of it. `chance` is from 0 to 1."""
        plain = min(self.last_wait, self.first_wait * 2.0 ** min(failures - 1, 30))
        return plain * (1 + self.jitter * (2 * chance() - 1))


@dataclass(slots=True)
class Account:
    """One resource's record."""

    failures: int = 0
    retry_at: float = 0.0
    error: str = ""
    heals: list[float] = field(default_factory=list)
    flapping_since: float | None = None


@dataclass(slots=True)
class _Book:
    digest: str = ""
    good_digest: str = ""
    barred: str = ""
    barred_error: str = ""
    failures: dict[str, str] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)


class Ledger:
    """The memory of one state directory. Only the holder of the lease writes it."""

    def __init__(
        self,
        path: Path,
        patience: Patience,
        *,
        chance: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self.patience = patience
        self._chance = chance
        self._clock = clock
        self._book = _read(path)

    @property
    def barred(self) -> str:
        """The digest of the configuration that is not applied again; "" when there is none."""
        return self._book.barred

    def declare(self, digest: str) -> bool:
        """The files say this now. Another digest than before releases everything that was left alone, and is true."""
        if digest == self._book.digest:
            return False
        self._book.accounts.clear()
        self._book.digest = digest
        self._book.barred = self._book.barred_error = ""
        self._save()
        return True

    def why_not(self, subject: str) -> str | None:
        """Why this resource or service is left alone; None when it may be healed."""
        account = self._book.accounts.get(subject)
        if account is None:
            return None
        if account.flapping_since is not None:
            return (
                f"it was healed {self.patience.most_heals} times within {self.patience.within / 60:g} minutes and "
                "changed again each time: find out who changes it, then change the files or run: "
                f"reconcile daemon --release {subject}"
            )
        if self._clock() < account.retry_at:
            return f"healing failed {account.failures} times, tried again later: {account.error}"
        return None

    def why_not_at_all(self, digest: str) -> str | None:
        """Why this configuration as a whole is not applied; None when it may be."""
        if digest and digest == self._book.barred:
            why = f"it was rolled back ({self._book.barred_error})"
            return f"{why}; change the files, or run: reconcile daemon --release all"
        return None

    def next_try(self) -> float | None:
        """Seconds until the first resource may be tried again; None when none waits."""
        now = self._clock()
        waiting = [one.retry_at - now for one in self._book.accounts.values() if one.retry_at > now]
        return min(waiting, default=None)

    def is_good(self, digest: str) -> bool:
        """True when this configuration was live once: a failure then is not its fault."""
        return bool(digest) and digest == self._book.good_digest

    def note_in_sync(self, digest: str) -> None:
        """All that is declared is live."""
        if digest != self._book.good_digest or self._book.barred == digest:
            self._book.good_digest = digest
            if self._book.barred == digest:
                self._book.barred = self._book.barred_error = ""
            self._save()

    def note_healed(self, subjects: Iterable[str]) -> list[str]:
        """Drift was healed. Returns the resources that flap from now on."""
        flapping, now = [], self._clock()
        for subject in subjects:
            account = self._book.accounts.setdefault(subject, Account())
            account.failures, account.retry_at, account.error = 0, 0.0, ""
            account.heals = [*(at for at in account.heals if now - at < self.patience.within), now]
            if len(account.heals) >= self.patience.most_heals:
                account.flapping_since = now
                flapping.append(subject)
        self._save()
        return flapping

    def note_failed(self, subjects: Iterable[str], error: str) -> None:
        """Healing these failed; each waits longer than the last time."""
        for subject in subjects:
            account = self._book.accounts.setdefault(subject, Account())
            account.failures += 1
            account.retry_at = self._clock() + self.patience.wait(account.failures, chance=self._chance)
            account.error = error
        self._save()

    def is_to_blame(self, digest: str, failure: str) -> bool:
        """True when this failed apply (its time) was of this configuration: whichever was declared when it was first
        heard of. The history does not tell apart what differs in secrets and certificates' files alone."""
        failures = self._book.failures
        if failure not in failures:
            failures[failure] = digest
            self._book.failures = dict(list(failures.items())[-MOST_FAILURES:])
            self._save()
        return failures[failure] == digest

    def bar(self, digest: str, error: str) -> None:
        """Do not apply this configuration again."""
        self._book.barred, self._book.barred_error = digest, error
        self._save()

    def release(self, pattern: str) -> tuple[str, ...]:
        """Forget what was held against the resources that match this glob on "Kind/name"; "all" is everything, the
        barred configuration included. Returns what was released."""
        found = [one for one in self._book.accounts if pattern == "all" or fnmatchcase(one, pattern)]
        for subject in found:
            del self._book.accounts[subject]
        if pattern == "all" and self._book.barred:
            found.append(f"configuration {self._book.barred[:12]}")
            self._book.barred = self._book.barred_error = ""
        self._save()
        return tuple(found)

    def _save(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".new")
        temporary.touch(0o600)
        temporary.write_text(json.dumps({"format": FORMAT, **asdict(self._book)}), encoding="utf-8")
        temporary.replace(self._path)


def _read(path: Path) -> _Book:
    with suppress(FileNotFoundError, ValueError, TypeError, KeyError):
        found = json.loads(path.read_text(encoding="utf-8"))
        if found.pop("format") == FORMAT:
            accounts = {subject: Account(**one) for subject, one in found.pop("accounts").items()}
            return _Book(**found, accounts=accounts)
    return _Book()


def ask_release(directory: Path, pattern: str) -> None:
    """Leave a request for the daemon that holds the lease; several are carried out in order."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with append_private(directory / "release") as stream:
        stream.write(pattern.replace("\n", " ").encode() + b"\n")


def take_releases(directory: Path) -> list[str]:
    """The requests so far, which are gone afterwards."""
    taken = directory / "release.taken"
    with suppress(FileNotFoundError):
        (directory / "release").replace(taken)
        patterns = taken.read_text(encoding="utf-8").splitlines()
        taken.unlink()
        return [pattern for pattern in patterns if pattern]
    return []
