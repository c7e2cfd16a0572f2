"""What can be observed and changed, and how that may fail.

A `Reader` cannot change anything: planning is given a reader only, so a dry run cannot write. A `Writer` changes one
resource at a time by compare-and-swap and brings services onto their live configuration; applying alone is given one.
`memory` and `embedded` implement both; `tests/conformance` holds them to the same behaviour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, Protocol

from pydantic import JsonValue

from reconciler.model import Absent, Key, LiveState, Observed, Present
from reconciler.secret import SecretValue
from schemas.v1.base import Spec

Method = Literal["restart", "reload"]
Json = Mapping[str, JsonValue]
NONE_KNOWN: Mapping[Key, Spec] = MappingProxyType({})


class TargetError(Exception):
    """A target could not do what it was asked; the text is a sentence for the user."""


class NotRunningError(TargetError):
    """There is nobody to talk to; nothing was changed."""


class TransientError(TargetError):
    """No answer, or one that asks to try again: the request may or may not have been carried out."""


class RejectedError(TargetError):
    """The target refuses the request as it stands; nothing was changed. `problems` pairs a YAML path with a message."""

    def __init__(self, subject: str, message: str, problems: tuple[tuple[str, str], ...] = ()) -> None:
        details = "".join(f"; {path or 'the whole'}: {text}" for path, text in problems)
        super().__init__(f"{subject} was rejected by the runtime: {message}{details}")
        self.problems = problems


class ConflictError(TargetError):
    """The live revision is not the expected one: somebody else was there. Nothing was changed."""

    def __init__(self, key: Key, *, expected: int | None, current: Present | None) -> None:
        super().__init__(_conflict(key, expected, current))
        self.key = key
        self.expected = expected
        self.current = current


def _conflict(key: Key, expected: int | None, current: Present | None) -> str:
    if current is None:
        return f"{key} is gone: somebody deleted it after revision {expected} was read; plan again"
    who, when = current.updated_by or "somebody", current.updated_at or "an unknown time"
    seen = "it was not there before" if expected is None else f"revision {expected} was expected"
    return f"{key} was changed by {who} at {when}: it is at revision {current.revision}, {seen}; plan again"


class ServiceError(TargetError):
    """A service could not be brought onto its live configuration; its previous generation goes on."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """Who writes, and in which apply: both stay with the live resource."""

    actor: str
    apply_id: str | None = None


@dataclass(frozen=True, slots=True)
class Converged:
    """What became of a service that was asked to run its live configuration: "running" on the new generation, or
    "stopped" or still "draining" when it is not to run."""

    service: str
    state: str
    generation: int
    draining_sessions: int = 0


@dataclass(frozen=True, slots=True)
class HealthMailbox:
    """An account for probes. Without a `database` it can greet a server but not log on to a mailbox."""

    address: str
    password: SecretValue
    database: str | None


class Reader(Protocol):
    """The side of a target that only looks."""

    def observe(self, known: Mapping[Key, Spec] = NONE_KNOWN) -> LiveState:
        """Every live resource, and every service. A resource that cannot be understood is `Unreadable`.

        `known` are specs that the live ones may well equal, such as the declared ones: those that do are given back as
        they are, which spares checking them again.
        """

    def digest_key(self) -> bytes:
        """The key under which the target keeps digests of secrets."""

    def status(self) -> Json:
        """Servers, services, sessions and pending restarts, as the control API gives them."""

    def health_mailbox(self, server: str) -> HealthMailbox:
        """The account to probe `server` with."""

    def read(self, key: Key) -> Observed:
        """One resource."""


class Writer(Protocol):
    """The side of a target that changes. Every call raises TargetError or one of its kinds.

    `expect` is the live revision that the caller has seen, None when it saw the resource absent; a target at another
    revision raises ConflictError and changes nothing.
    """

    def write(
        self,
        key: Key,
        spec: Spec,
        *,
        secrets: Mapping[str, SecretValue | None],
        expect: int | None,
        by: Attribution,
    ) -> int:
        """Create (`expect` None) or replace; secrets that are not mentioned stay, None takes one away.
        Returns the new revision."""

    def delete(self, key: Key, *, expect: int, by: Attribution) -> None:
        """Remove the resource."""

    def restore(self, key: Key, revision: int | None, *, expect: int | None, by: Attribution) -> None:
        """Bring the version of `revision` back with its secrets, as a new revision; None means absent."""

    def converge(self, service: str, method: Method, *, reason: str) -> Converged:
        """Make "ex01/imap4" run its live configuration. Raises ServiceError when it cannot."""


class Target(Reader, Writer, Protocol):
    """Both sides."""


def present(observed: Observed) -> Present | None:
    """The live resource, or None when it is absent. Raises TargetError when it could not be read."""
    if isinstance(observed, Present):
        return observed
    if isinstance(observed, Absent):
        return None
    raise TargetError(f"the live state could not be read: {observed.error}")
