"""The nouns of the reconciler as frozen values; every stage takes some of them and returns others.

Nothing here reads, writes or prints. `Desired` comes from `declared/`, `Observed` from `targets/`, `Plan` from
`planning/`, `Report` from `applying/`; `rendering/` turns any of them into text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from schemas.v1.impact import Impact

if TYPE_CHECKING:
    from pydantic import JsonValue

    from reconciler.secret import SecretRef
    from schemas.v1.base import Spec


_PROBE_MAILBOX = "HealthMailbox"


class Key(NamedTuple):
    """Names one live resource: `ImapSettings/ex01`, `ReceiveConnector/ex01/client`."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    @property
    def is_probe(self) -> bool:
        """True for an account that the runtime makes for its own probes: nobody's to declare."""
        return self.kind == "Mailbox" and self.name.startswith(_PROBE_MAILBOX)


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Where a value stands in a file; line and column count from 1."""

    file: Path
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Severity(StrEnum):
    """How bad a diagnostic is: an error stops the run, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Allowance:
    """A line of a document's annotation that lets a warning about it through, and why."""

    rule: str
    reason: str
    position: Position


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing to tell the user: what, where, and how to go on. `code` is stable, e.g. "unknown-key". `allowed`: its
    document lets it through; it is told with that reason. `policy`: the policy, not a shipped one, that found it."""

    code: str
    severity: Severity
    message: str
    position: Position | None = None
    hint: str | None = None
    allowed: Allowance | None = None
    policy: str | None = None


@dataclass(frozen=True, slots=True)
class Ignore:
    """A path that a declaration leaves to others, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """How a declaration asks to be treated. `protect`: never delete it, and keep that mark on the live resource.
    `renamed_from`: its metadata.name before, so that it is renamed and not made anew."""

    protect: bool = False
    renamed_from: str | None = None


@dataclass(frozen=True, slots=True)
class Resource:
    """One declared resource after selection: live name, checked spec, where it and its fields stand.

    `secrets` maps the YAML path of each secret field to its reference; values are never held here. `positions` maps
    YAML paths ("maxConnectionsPerUser") to where their value stands; "" is the document itself. `labels` are those of
    its document, `allowed` what its annotation lets through, `notes` say of paths which variable they come from, and
    of a thumbprint what the certificate says of itself.
    """

    key: Key
    spec: Spec
    secrets: Mapping[str, SecretRef]
    ignore: tuple[Ignore, ...]
    positions: Mapping[str, Position]
    labels: Mapping[str, str] = field(default_factory=dict)
    lifecycle: Lifecycle = Lifecycle()
    allowed: tuple[Allowance, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)

    def allows(self, rule: str) -> Allowance | None:
        """What lets warnings of this rule through."""
        return next((one for one in self.allowed if one.rule == rule), None) if self.allowed else None

    def position(self, path: str = "") -> Position:
        """Where `path` is declared; the document's position when the field is not mentioned."""
        return self.positions.get(path) or self.positions[""]

    def note(self, path: str) -> str:
        """Where the value of `path`, or of an item of the list there, comes from if it is a variable's, or what
        else is known of it; else empty."""
        if not self.notes:
            return ""
        items = (text for place, text in self.notes.items() if place.startswith(f"{path}["))
        return self.notes.get(path) or next(items, "")


@dataclass(frozen=True, slots=True)
class Desired:
    """Everything the files declare, resolved. `digest` is over the meaning of all resources (hex SHA-256), and
    `spec_digests` are those of the canonical forms of the specs whose digest is known."""

    resources: Mapping[Key, Resource]
    digest: str
    spec_digests: Mapping[Key, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Present:
    """A resource that is live: its spec, its revision, and the digest of each secret it holds. `managed_by` is
    "reconciler" when an apply made it; a `protected` one is not deleted."""

    spec: Spec
    revision: int
    secrets: Mapping[str, str] = field(default_factory=dict)
    updated_by: str | None = None
    updated_at: str | None = None
    apply_id: str | None = None
    managed_by: str | None = None
    protected: bool = False


@dataclass(frozen=True, slots=True)
class Absent:
    """A resource that is known not to be live."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A resource whose live state could not be read. Never drift, never a reason to write."""

    error: str


Observed = Present | Absent | Unreadable


@dataclass(frozen=True, slots=True)
class ServiceState:
    """One live service: its startup type and state as the target reports them, its sessions, and the action that its
    live configuration is waiting for (None: it runs what is configured), with the fields that ask for it."""

    service: str
    startup_type: str
    state: str
    sessions: int
    pending: str | None = None
    pending_fields: tuple[tuple[Key, str], ...] = ()


@dataclass(frozen=True, slots=True)
class LiveState:
    """What a target answered when it was observed: every live resource, and every service by its id."""

    resources: Mapping[Key, Observed]
    services: Mapping[str, ServiceState]


class Action(StrEnum):
    """What a change does; the value is its sign in a plan."""

    CREATE = "+"
    UPDATE = "~"
    DELETE = "-"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field's difference. For a secret `old` and `new` are None and `is_secret` is true: only the fact that it
    changed is known. `old` is None for a create, `new` for a delete. `note` says which variable the new value comes
    from, if one."""

    path: str
    old: JsonValue
    new: JsonValue
    is_secret: bool = False
    position: Position | None = None
    impact: Impact = Impact.NONE
    note: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """Create, update or delete of one live resource. `revision` is the live revision it was planned against (None:
    absent). An update with `renamed_from` (a live name) renames that resource first, and `revision` is that one's.
    `cascades` are the live resources that refer to one that is deleted; they are deleted as well."""

    key: Key
    action: Action
    fields: tuple[FieldChange, ...]
    revision: int | None
    position: Position | None
    renamed_from: str | None = None
    cascades: tuple[Key, ...] = ()

    @property
    def live_key(self) -> Key:
        """What the resource is called while the change has not been made."""
        return Key(self.key.kind, self.renamed_from or self.key.name)


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a service is touched: one field of one resource."""

    key: Key
    path: str
    old: JsonValue
    new: JsonValue


class ServiceAction(StrEnum):
    """What happens to a service. START and STOP follow from its startup type."""

    RELOAD = "reload"
    RESTART = "restart"
    START = "start"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class ServiceImpact:
    """One service that the plan touches, why, and how many sessions feel it (None: unknown)."""

    service: str
    action: ServiceAction
    causes: tuple[Cause, ...]
    sessions: int | None


@dataclass(frozen=True, slots=True)
class Selection:
    """Which resources a plan is for: globs on "Kind/name", or "server=NAME" for all that belongs to a server. Nothing
    in `only` means everything; `exclude` wins."""

    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @property
    def is_partial(self) -> bool:
        """True when something may be left out."""
        return bool(self.only or self.exclude)


@dataclass(frozen=True, slots=True)
class Prune:
    """Whether what is live and not declared goes. `named` are deletions asked for one by one (--delete Kind/name),
    which need no `is_on` and are bound by no threshold."""

    is_on: bool = False
    named: frozenset[Key] = frozenset()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A deletion that was asked for and is not planned, and why."""

    key: Key
    reason: str


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a plan goes: servers and mailboxes that notice it; services and sessions are counted from its impacts."""

    servers: tuple[str, ...] = ()
    mailboxes: int = 0


@dataclass(frozen=True, slots=True)
class Hold:
    """Resources that are left as they are until a time, and why. `pattern` is "Kind/name", `*` matches any text;
    `until` and `since` are ISO 8601, UTC."""

    pattern: str
    until: str
    reason: str
    by: str
    since: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Ordered changes, their impact, and what they were made from.

    `fingerprint` maps each touched resource to the live revision seen (None: absent). `undeclared` are live resources
    that no file declares and that stay; `refused` are those of them whose deletion was asked for in vain. `owed` are
    service actions that live configuration is still waiting for although no field changes. `selection` says which part
    of the estate was looked at; whatever it leaves out is in none of these. `held` are resources that a hold keeps as
    they are, whatever the files say, and `held_changes` what would be changed of these. `uncompared` are declared
    secrets, by resource and path, that nobody here can open: whether they changed is unknown, and the live ones
    stay. `environment` is the one that it makes live (None: there are none), `note` what the reader has to know
    before. `back_to` is the entry of the history that it brings back, if one: then no file declares what it makes
    live.
    """

    configuration_digest: str
    changes: tuple[Change, ...]
    impacts: tuple[ServiceImpact, ...]
    fingerprint: Mapping[Key, int | None]
    undeclared: tuple[Key, ...] = ()
    unreadable: tuple[tuple[Key, str], ...] = ()
    owed: tuple[ServiceImpact, ...] = ()
    selection: Selection = Selection()
    refused: tuple[Refusal, ...] = ()
    reach: Reach = Reach()
    held: tuple[tuple[Key, Hold], ...] = ()
    uncompared: tuple[tuple[Key, str], ...] = ()
    held_changes: tuple[Change, ...] = ()
    environment: str | None = None
    note: str | None = None
    back_to: int | None = None

    @property
    def is_complete(self) -> bool:
        """False when a part of the live state could not be read: what it needs is unknown."""
        return not self.unreadable

    @property
    def is_empty(self) -> bool:
        """True when applying it would do nothing."""
        return not (self.changes or self.owed)


class Outcome(StrEnum):
    """What became of one change or one service action."""

    APPLIED = "applied"
    FAILED = "failed"
    SKIPPED = "skipped"
    NOT_REACHED = "not reached"
    ROLLED_BACK = "rolled back"


@dataclass(frozen=True, slots=True)
class StepResult:
    """One line of a report: a resource key or a service id, what became of it, and why."""

    subject: str
    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What became of every change and every service of a plan; `environment` is the one that was applied, if one."""

    apply_id: str
    steps: tuple[StepResult, ...]
    error: str | None = None
    environment: str | None = None

    @property
    def is_success(self) -> bool:
        """True when everything planned is now so."""
        return self.error is None
