"""When a message that could not be delivered is tried again, and when it is given up (Exchange's message intervals)."""

from __future__ import annotations

from dataclasses import dataclass

MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """All in seconds. To a mailbox database the interval is fixed; to another server it grows: glitch, transient,
    then failure. A message older than `expiration` becomes a report."""

    mailbox: float = 5 * MINUTE
    glitch: float = 1 * MINUTE
    glitch_attempts: int = 4
    transient: float = 5 * MINUTE
    transient_attempts: int = 6
    failure: float = 10 * MINUTE
    expiration: float = 2 * 24 * 60 * MINUTE

    def delay(self, attempts: int, *, is_remote: bool) -> float:
        """The wait behind the `attempts`-th failed attempt (from 1)."""
        if not is_remote:
            return self.mailbox
        if attempts <= self.glitch_attempts:
            return self.glitch
        if attempts <= self.glitch_attempts + self.transient_attempts:
            return self.transient
        return self.failure
