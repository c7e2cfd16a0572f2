"""What can be observed and changed, and how that may fail.

A `Reader` cannot change anything: planning is given a reader only, so a dry run cannot write. A `Writer` changes one
resource at a time by compare-and-swap and brings services onto their live configuration; applying alone is given one.
`memory` and `embedded` implement both; `tests/conformance` holds them to the same behaviour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from reconciler.expected import ExpectedError
from reconciler.model import Key, LiveState, Observed, Present, ServiceState
from reconciler.secret import SecretValue

if TYPE_CHECKING:
    from pydantic import JsonValue

    from schemas.v1.base import Spec

T = TypeVar("T")
Method = Literal["restart", "reload"]
Json = Mapping[str, "JsonValue"]
NONE_KNOWN: Mapping[Key, Spec] = MappingProxyType({})
NO_DIGESTS: Mapping[Key, str] = MappingProxyType({})


class TargetError(ExpectedError):
    """A target could not do what it was asked; the text is a sentence for the user."""


class NotRunningError(TargetError):
    """There is nobody to talk to; nothing was changed."""


class TransientError(TargetError):
    """No answer, or one that asks to try again: the request may or may not have been carried out."""


class RejectedError(TargetError):
    """The target refuses the request as it stands; nothing was changed. `problems` pairs a YAML path with a message."""

    def __init__(self, subject: str, message: str, problems: tuple[tuple[str, str], ...] = ()) -> None:
        details = "".join(
            f"; {path or 'the whole'}: {text}" for path, text in problems if text not in message
        )
        super().__init__(f"{subject} was rejected by the runtime: {message}{details}")
        self.problems = problems


class ConflictError(TargetError):
    """The live revision is not the expected one: somebody else was there. Nothing was changed."""

    def __init__(self, key: Key, *, expected: int | None, current: Present | Stamp | None) -> None:
        super().__init__(_conflict(key, expected, current))
        self.key = key
        self.expected = expected
        self.current = current


def _conflict(key: Key, expected: int | None, current: Present | Stamp | None) -> str:
    if current is None:
        return f"{key} is gone: somebody deleted it after revision {expected} was read; plan again"
    who, when = current.updated_by or "somebody", current.updated_at or "an unknown time"
    seen = "it was not there before" if expected is None else f"revision {expected} was expected"
    return f"{key} was changed by {who} at {when}: it is at revision {current.revision}, {seen}; plan again"


class NameTakenError(TargetError):
    """Another resource, `holder`, has a name that is asked for and that one only may have (`schemas.v1.logon_names`).
    Nothing was changed."""

    def __init__(self, message: str, holder: Key) -> None:
        super().__init__(message)
        self.holder = holder


class ServiceError(TargetError):
    """A service could not be brought onto its live configuration; its previous generation goes on."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """Who writes, and in which apply: both stay with the live resource. `protected`: whether it may not be deleted from
    now on (None: as it was)."""

    actor: str
    apply_id: str | None = None
    protected: bool | None = None


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


@dataclass(frozen=True, slots=True)
class LiveChanges:
    """What was written after the revision that was asked from, as it is now, and what was deleted. `until` and
    `instance` are where to ask from the next time; `is_whole`: these are all live resources, forget what you knew."""

    instance: str
    until: int
    changed: Mapping[Key, Observed]
    deleted: frozenset[Key] = frozenset()
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class Stamp:
    """The revision of a live resource and who made it, without its spec."""

    revision: int
    updated_by: str | None = None
    updated_at: str | None = None
    apply_id: str | None = None


@dataclass(frozen=True, slots=True)
class Stamps:
    """Every live resource's stamp, and the latest revision of all (also of what was deleted)."""

    epoch: int
    resources: Mapping[Key, Stamp]


@dataclass(frozen=True, slots=True)
class Digested:
    """A live resource without its values: the SHA-256 of its spec's canonical form, the keyed digest of each secret."""

    digest: str
    secrets: Mapping[str, str]
    protected: bool


@dataclass(frozen=True, slots=True)
class LiveDigests:
    """Every live resource, told by digests, and every service by its id."""

    resources: Mapping[Key, Digested]
    services: Mapping[str, ServiceState]


@dataclass(frozen=True, slots=True)
class Write:
    """One of many writes. With a `spec` the resource is created or replaced; with `is_restore` the version of
    `revision` comes back (None: the resource goes); with neither it is deleted. `renamed_from`: what has that live name
    gets the name of `key` in the same step, and `expect` is about it. Writes that follow one another with the same
    `tie` are done together or not at all: names pass between them in a circle."""

    key: Key
    expect: int | None
    spec: Spec | None = None
    secrets: Mapping[str, SecretValue | None] = field(default_factory=dict)
    protected: bool | None = None
    is_restore: bool = False
    revision: int | None = None
    renamed_from: str | None = None
    tie: int | None = None

    @property
    def current_key(self) -> Key:
        """What the resource is called until then."""
        return Key(self.key.kind, self.renamed_from or self.key.name)

    @property
    def is_removal(self) -> bool:
        """True when the resource is gone afterwards."""
        return self.spec is None and (not self.is_restore or self.revision is None)


def tied(items: Iterable[T], tie_of: Callable[[T], int | None]) -> Iterator[list[T]]:
    """Those with one tie together, the others each by itself, in the order that they came."""
    group: list[T] = []
    for item in items:
        if group and (tie_of(item) is None or tie_of(item) != tie_of(group[-1])):
            yield group
            group = []
        group.append(item)
    if group:
        yield group


@dataclass(frozen=True, slots=True)
class Written:
    """What became of many writes, in order: the new revision of each that is live (None: it is gone), then what stopped
    the next one. Those after it were not tried. `failed`: the write that the error is about, which may be a later one
    that the next one cannot be without; None when the request was refused as a whole."""

    revisions: tuple[int | None, ...]
    error: TargetError | None = None
    failed: Key | None = None


class DigestReader(Protocol):
    """What tells whether anything differs at all, without reading a single value."""

    def digests(self) -> LiveDigests:
        """What is live, by digests alone."""

    def digest_key(self) -> bytes:
        """The key under which digests of secrets are made; the target's own."""


class Reader(Protocol):
    """The side of a target that only looks."""

    def prepare(self) -> None:
        """Announce that `observe` is going to be called once, so that its answers can come meanwhile."""

    def observe(
        self, known: Mapping[Key, Spec] = NONE_KNOWN, digests: Mapping[Key, str] = NO_DIGESTS
    ) -> LiveState:
        """Every live resource, and every service. A resource that cannot be understood is `Unreadable`.

        `known` are specs that the live ones may well equal, such as the declared ones: those that do are given back as
        they are, which spares checking them again. `digests` are those of their canonical forms, as far as known.
        """

    def changes_since(self, since: LiveChanges | None, known: Mapping[Key, Spec] = NONE_KNOWN) -> LiveChanges:
        """What was written after `since` (None: everything), for those who follow a live state without reading all of
        it again. Services are not part of it."""

    def services(self) -> Mapping[str, ServiceState]:
        """Every service, as `observe` gives them."""

    def epoch(self) -> int:
        """The latest revision of all."""

    def stamps(self) -> Stamps:
        """Who made every live resource what it is; costs a fraction of `observe`."""

    def live_at(self, epoch: int) -> Mapping[Key, Present]:
        """What was live when `epoch` was the latest revision. Raises TargetError for what cannot be read."""

    def renames_since(self, epoch: int) -> Sequence[tuple[Key, Key]]:
        """What was given another name after that revision, oldest first: the old live key and the new one."""

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
        """Remove the resource. Raises RejectedError for a protected one."""

    def rename(self, key: Key, to: str, *, expect: int, by: Attribution) -> int:
        """Call the resource `to` (a live name) from now on; all that it holds stays with it. Returns the new revision.
        Raises RejectedError when something goes by that name."""

    def restore(self, key: Key, revision: int | None, *, expect: int | None, by: Attribution) -> None:
        """Bring the version of `revision` back with its secrets, as a new revision; None means absent."""

    def write_many(self, writes: Sequence[Write], *, by: Attribution) -> Written:
        """In order, up to the first that is refused: that one has done nothing. Whether a name would be two resources'
        is asked at the end (NameTakenError); but an apply that restores what it has changed may share one again that
        was shared before. Raises TransientError and NotRunningError, and nothing else, when it is not known how many
        were done. May be called from several threads at once."""

    def converge(self, service: str, method: Method, *, reason: str) -> Converged:
        """Make "ex01/imap4" run its live configuration. Raises ServiceError when it cannot."""


class Target(Reader, Writer, Protocol):
    """Both sides."""
