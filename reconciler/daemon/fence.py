"""A target that asks for the lease before each write, so that a daemon that lost it cannot change anything any more.

Looking is not fenced. Used by the daemon around the target that it gives to `applying/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from reconciler.model import Key, LiveState, Observed, Present, ServiceState
from reconciler.secret import SecretValue
from reconciler.targets.target import (
    NO_DIGESTS,
    NONE_KNOWN,
    Attribution,
    Converged,
    HealthMailbox,
    Json,
    LiveChanges,
    Method,
    Stamps,
    Target,
    Write,
    Written,
)
from schemas.v1.base import Spec


class FencedTarget:
    """The calls of `Target`, those that change something behind `check`, which raises when the lease is gone."""

    def __init__(self, target: Target, check: Callable[[], None]) -> None:
        self._target = target
        self._check = check

    def prepare(self) -> None:
        """As the target."""
        self._target.prepare()

    def observe(
        self, known: Mapping[Key, Spec] = NONE_KNOWN, digests: Mapping[Key, str] = NO_DIGESTS
    ) -> LiveState:
        """Passed on."""
        return self._target.observe(known, digests)

    def changes_since(self, since: LiveChanges | None, known: Mapping[Key, Spec] = NONE_KNOWN) -> LiveChanges:
        """Passed on."""
        return self._target.changes_since(since, known)

    def services(self) -> Mapping[str, ServiceState]:
        """Passed on."""
        return self._target.services()

    def epoch(self) -> int:
        """Passed on."""
        return self._target.epoch()

    def stamps(self) -> Stamps:
        """Passed on."""
        return self._target.stamps()

    def live_at(self, epoch: int) -> Mapping[Key, Present]:
        """Passed on."""
        return self._target.live_at(epoch)

    def renames_since(self, epoch: int) -> Sequence[tuple[Key, Key]]:
        """Passed on."""
        return self._target.renames_since(epoch)

    def digest_key(self) -> bytes:
        """Passed on."""
        return self._target.digest_key()

    def status(self) -> Json:
        """Passed on."""
        return self._target.status()

    def health_mailbox(self, server: str) -> HealthMailbox:
        """Passed on."""
        return self._target.health_mailbox(server)

    def read(self, key: Key) -> Observed:
        """Passed on."""
        return self._target.read(key)

    def write(
        self,
        key: Key,
        spec: Spec,
        *,
        secrets: Mapping[str, SecretValue | None],
        expect: int | None,
        by: Attribution,
    ) -> int:
        """Checked first."""
        self._check()
        return self._target.write(key, spec, secrets=secrets, expect=expect, by=by)

    def delete(self, key: Key, *, expect: int, by: Attribution) -> None:
        """Checked first."""
        self._check()
        self._target.delete(key, expect=expect, by=by)

    def rename(self, key: Key, to: str, *, expect: int, by: Attribution) -> int:
        """Checked first."""
        self._check()
        return self._target.rename(key, to, expect=expect, by=by)

    def restore(self, key: Key, revision: int | None, *, expect: int | None, by: Attribution) -> None:
        """Checked first."""
        self._check()
        self._target.restore(key, revision, expect=expect, by=by)

    def write_many(self, writes: Sequence[Write], *, by: Attribution) -> Written:
        """Checked first."""
        self._check()
        return self._target.write_many(writes, by=by)

    def converge(self, service: str, method: Method, *, reason: str) -> Converged:
        """Checked first."""
        self._check()
        return self._target.converge(service, method, reason=reason)
