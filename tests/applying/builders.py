"""An estate of one server for tests of apply: what is declared, a target in memory that can fail, an applier."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from reconciler.applying.apply import Applier
from reconciler.applying.events import Event
from reconciler.applying.history import Author
from reconciler.applying.recovery import recover
from reconciler.applying.secrets import digests
from reconciler.applying.verify import ProbeResult
from reconciler.model import Desired, Key, Lifecycle, Plan, Position, Present, Report, Resource
from reconciler.planning.plan import make_plan
from reconciler.secret import SecretRef, SecretValue
from reconciler.state import StateDirectory
from reconciler.targets.memory import MemoryTarget
from reconciler.targets.target import Attribution, Converged, Method, TransientError
from schemas.v1.base import Spec
from schemas.v1.codec import parse_spec

SERVER, IMAP, POP, ALICE = (
    Key("Server", "ex01"),
    Key("ImapSettings", "ex01"),
    Key("PopSettings", "ex01"),
    Key("Mailbox", "alice"),
)
NONE: Mapping[str, str] = {}
HERE = Position(Path("estate.yaml"), 1, 1)


def resource(key: Key, spec: Spec, **secrets: SecretRef) -> Resource:
    return Resource(key, spec, secrets, ignore=(), positions={"": HERE})


def server(startup: Mapping[str, str]) -> Spec:
    kinds = {"imap4": "Automatic", "imap4-backend": "Automatic", "pop3": "Automatic", **startup}
    services = {name: {"startupType": kind} for name, kind in kinds.items()}
    off = {name: {"startupType": "Manual"} for name in ("frontend-transport", "transport")}
    return parse_spec("Server", {"fqdn": "ex01.contoso.example", "services": off | services})


def estate(
    *, imap: int = 16, pop: int = 16, password: Path | None = None, startup: Mapping[str, str] = NONE
) -> Desired:
    """Limits of IMAP and POP on ex01, and alice's mailbox when her password file is given. `startup` types are by
    service; IMAP and POP3 are Automatic unless it says otherwise."""
    found = [
        resource(SERVER, server(startup)),
        resource(IMAP, parse_spec("ImapSettings", {"maxConnectionsPerUser": imap})),
        resource(POP, parse_spec("PopSettings", {"maxConnectionsPerUser": pop})),
    ]
    if password is not None:
        mailbox = {"database": "db01", "primarySmtpAddress": "alice@contoso.example"}
        found.append(
            resource(ALICE, parse_spec("Mailbox", mailbox), password=SecretRef("file", str(password)))
        )
    return Desired({one.key: one for one in found}, digest="d" * 64)


class FaultyTarget(MemoryTarget):
    """Fails where it is told to: `before` raises instead of acting, `after` acts and then raises (a lost answer).

    Both are by subject ("ImapSettings/ex01", "ex01/imap4") and raise each error once. `meanwhile` runs before each
    write. `converged` lists what was converged, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[str, list[BaseException]] = {}
        self.after: dict[str, list[BaseException]] = {}
        self.meanwhile: Callable[[Key], None] | None = None
        self.converged: list[str] = []
        self.writes: list[Key] = []

    def write(
        self,
        key: Key,
        spec: Spec,
        *,
        secrets: Mapping[str, SecretValue | None],
        expect: int | None,
        by: Attribution,
    ) -> int:
        self.writes.append(key)
        if self.meanwhile and by.apply_id:
            self.meanwhile(key)
        _raise(self.before, str(key))
        revision = super().write(key, spec, secrets=secrets, expect=expect, by=by)
        _raise(self.after, str(key))
        return revision

    def restore(self, key: Key, revision: int | None, *, expect: int | None, by: Attribution) -> None:
        _raise(self.before, f"restore {key}")
        super().restore(key, revision, expect=expect, by=by)
        _raise(self.after, f"restore {key}")

    def converge(self, service: str, method: Method, *, reason: str) -> Converged:
        _raise(self.before, service)
        self.converged.append(service)
        done = super().converge(service, method, reason=reason)
        _raise(self.after, service)
        return done


def _raise(errors: dict[str, list[BaseException]], subject: str) -> None:
    if errors.get(subject):
        raise errors[subject].pop(0)


def lost() -> Exception:
    return TransientError("the connection broke")


@dataclass
class Probes:
    """Stands for `Verifier`, since no mail is in memory: says no once for each service in `failing`."""

    failing: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def __call__(self, service: str) -> ProbeResult:
        self.asked.append(service)
        if service in self.failing:
            self.failing.remove(service)
            return ProbeResult(is_serving=False, detail="no answer")
        return ProbeResult(is_serving=True, detail="logon")


@dataclass
class Bench:
    """One state directory, one target, and short words for what tests do with them."""

    path: Path
    target: FaultyTarget = field(default_factory=FaultyTarget)
    probes: Probes = field(default_factory=Probes)
    should_stop: Callable[[], bool] = lambda: False
    parallelism: int = 1
    events: list[Event] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    commit: str | None = None

    @property
    def applier(self) -> Applier:
        state = StateDirectory(self.path)
        state.make()
        return Applier(
            self.target,
            state,
            Author("alice", self.commit),
            self.probes,
            progress=self.events.append,
            should_stop=self.should_stop,
            parallelism=self.parallelism,
            sleep=self.slept.append,
        )

    def plan(self, desired: Desired) -> Plan:
        found, problems = digests(desired, self.target.digest_key())
        assert not problems
        return make_plan(desired, self.target.observe(), digests=found)

    def apply(self, desired: Desired) -> Report:
        live = self.target.observe()
        return self.applier.apply(self.plan(desired), desired=desired, live=live)

    def applied(self, desired: Desired) -> Bench:
        """With `desired` live, and what was counted on the way forgotten."""
        assert self.apply(desired).is_success
        self.target.converged.clear()
        self.target.writes.clear()
        self.probes.asked.clear()
        return self

    def recover(self) -> tuple[Report, ...]:
        return recover(self.applier)

    def set_by_hand(self, key: Key, spec: Spec, *, who: str = "bob", apply_id: str | None = None) -> None:
        found = self.target.read(key)
        assert isinstance(found, Present)
        by = Attribution(who, apply_id)
        MemoryTarget.write(self.target, key, spec, secrets={}, expect=found.revision, by=by)

    def imap_limit(self) -> object:
        return self.limit(IMAP)

    def limit(self, key: Key) -> object:
        found = self.target.read(key)
        return getattr(found.spec, "max_connections_per_user") if isinstance(found, Present) else None  # noqa: B009

    def pending(self) -> dict[str, str | None]:
        services = self.target.observe().services.values()
        return {state.service: state.pending for state in services if state.pending}


def imap(limit: int) -> Spec:
    return parse_spec("ImapSettings", {"maxConnectionsPerUser": limit})


def pop(limit: int) -> Spec:
    return parse_spec("PopSettings", {"maxConnectionsPerUser": limit})


def outcomes(report: Report) -> dict[str, str]:
    return {step.subject: step.outcome.value for step in report.steps}


ALICIA = Key("Mailbox", "alicia")


def protected(desired: Desired, key: Key) -> Desired:
    """The same with one resource protected."""
    changed = replace(desired.resources[key], lifecycle=Lifecycle(protect=True))
    return replace(desired, resources={**desired.resources, key: changed})


def with_mailbox(
    desired: Desired, key: Key, *, renamed_from: str | None = None, address: str = "alice"
) -> Desired:
    """The same with a mailbox, which may have had another name."""
    spec = parse_spec("Mailbox", {"database": "db01", "primarySmtpAddress": f"{address}@contoso.example"})
    mailbox = replace(resource(key, spec), lifecycle=Lifecycle(renamed_from=renamed_from))
    return replace(desired, resources={**desired.resources, key: mailbox})
