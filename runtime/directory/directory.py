"""Who exists and where: mailboxes, addresses, accepted domains, policies, the home of each database.

A view of the live configuration that is refreshed, never restarted: a mailbox that is written is found after
the next `refresh`. It answers from memory, refuses to write anything, and never turns a name that came from a
client into a path or a query. Called by the front ends, the back ends, transport, and the host that builds
snapshots.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

from runtime.directory.names import LogonName, domain_of, parse_logon_name, smtp_address
from schemas.v1.accepted_domain import AcceptedDomain
from schemas.v1.base import Spec
from schemas.v1.certificate import Certificate
from schemas.v1.imap_settings import ImapSettings
from schemas.v1.mailbox import Mailbox
from schemas.v1.mailbox_database import MailboxDatabase
from schemas.v1.pop_settings import PopSettings
from schemas.v1.receive_connector import ReceiveConnector
from schemas.v1.server import Server
from schemas.v1.throttling_policy import ThrottlingPolicy

logger = logging.getLogger("runtime.directory")

S = TypeVar("S", bound=Spec)
Key = tuple[str, str]

#: Back ends listen on the loopback address of the machine that carries the server.
BACK_END_HOST = "127.0.0.1"
#: The path of a mailbox's password among its credentials.
PASSWORD = "password"  # noqa: S105 - the name of a field


class Resource(Protocol):
    """What the directory needs of a live resource."""

    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def revision(self) -> int: ...
    @property
    def spec(self) -> Any: ...
    @property
    def credentials(self) -> Mapping[str, str]: ...


class Changes(Protocol):
    @property
    def epoch(self) -> int: ...
    @property
    def present(self) -> Sequence[Resource]: ...
    @property
    def deleted(self) -> Sequence[Key]: ...
    @property
    def renames(self) -> Sequence[Rename]: ...


class Rename(Protocol):
    """A mailbox that has another name."""

    @property
    def revision(self) -> int: ...
    @property
    def database(self) -> str: ...
    @property
    def old(self) -> str: ...
    @property
    def new(self) -> str: ...


class Reader(Protocol):
    """Where resources come from: `runtime.live`'s reader."""

    def changes_since(self, epoch: int) -> Changes: ...


@dataclass(frozen=True)
class MailboxEntry:
    """One mailbox. `addresses` are lower-cased, with the primary one among them; `server` is None while the
    database is not declared; `password_hash` is an argon2id string, or None: then nobody can log on."""

    name: str
    spec: Mailbox
    addresses: frozenset[str]
    server: str | None
    database: str
    password_hash: str | None
    is_health_mailbox: bool = False


@dataclass(frozen=True)
class HealthMailbox:
    """The account that probes log on with, as Exchange's HealthMailbox: made at start, never declared. It
    lies in the first mailbox database of its server, by name, whichever that is now; without one it does not
    exist."""

    name: str
    address: str
    server: str
    password_hash: str


@dataclass(frozen=True)
class ServerResources:
    """The resources that a generation's snapshot is made of."""

    epoch: int
    spec: Server
    imap: ImapSettings
    pop: PopSettings
    connectors: Mapping[str, ReceiveConnector]
    certificates: Mapping[str, Certificate]


@dataclass
class _Index:
    """What look-ups need, rebuilt as a whole after a refresh that touched it: simple, and never
    half-updated."""

    mailboxes: dict[str, MailboxEntry] = field(default_factory=dict)
    addresses: dict[str, MailboxEntry] = field(default_factory=dict)
    logons: dict[str, MailboxEntry] = field(default_factory=dict)
    contested: dict[str, dict[str, MailboxEntry]] = field(default_factory=dict)
    domains: dict[str, AcceptedDomain] = field(default_factory=dict)
    parents: dict[str, AcceptedDomain] = field(default_factory=dict)
    policies: dict[str, ThrottlingPolicy] = field(default_factory=dict)
    hash_costs: dict[str, int] = field(default_factory=dict)


class Directory:
    """The directory as one host sees it. Not thread-safe: event loop only."""

    def __init__(
        self,
        reader: Reader,
        server: str,
        *,
        health_mailbox: HealthMailbox | None = None,
        on_renamed: Callable[[Rename], None] | None = None,
    ) -> None:
        """`on_renamed` is told of each mailbox of any server that has another name, before anybody can find it under
        that name; after a start of everyone that ever was renamed."""
        self.server = server
        self.epoch = 0
        self._reader = reader
        self._health_mailbox = health_mailbox
        self._on_renamed = on_renamed
        self._resources: dict[str, dict[str, Resource]] = {}
        self._index = _Index()
        self._told: frozenset[str] = frozenset()
        self.refresh()

    def refresh(self) -> bool:
        """Read what changed in the live configuration; True when something did."""
        changes = self._reader.changes_since(self.epoch)
        if self._on_renamed is not None:
            for rename in changes.renames:
                self._on_renamed(rename)
        for resource in changes.present:
            self._resources.setdefault(resource.kind, {})[resource.name] = resource
        for kind, name in changes.deleted:
            self._resources.get(kind, {}).pop(name, None)
        is_changed = bool(changes.present or changes.deleted)
        if is_changed or not self.epoch:
            self._index = self._build()
            self._tell_contested()
        self.epoch = changes.epoch
        return is_changed

    def find_logon(self, name: str) -> MailboxEntry | None:
        """The mailbox that a client means by `name`, in any form that `names` describes."""
        logon = parse_logon_name(name)
        entry = self._index.logons.get(logon.name) if logon else None
        if entry is None or logon is None or not self._is_in_domain(entry, logon):
            return None
        return entry

    def by_address(self, address: str) -> MailboxEntry | None:
        """The mailbox that owns this SMTP address, primary or secondary."""
        return self._index.addresses.get(address.casefold())

    def mailbox(self, name: str) -> MailboxEntry | None:
        """By resource name."""
        return self._index.mailboxes.get(name)

    def mailboxes(self) -> Iterable[MailboxEntry]:
        """All mailboxes, by name, the health mailbox included."""
        return self._index.mailboxes.values()

    def hash_costs(self) -> Mapping[str, int]:
        """How stored password hashes were made ("$argon2id$v=19$m=…,t=…,p=…"), each with the number of mailboxes, in a
        fixed order."""
        return self._index.hash_costs

    def accepted_domain(self, domain: str) -> AcceptedDomain | None:
        """The accepted domain that covers `domain`: itself, or the nearest parent with MatchSubDomains."""
        name = domain.casefold().rstrip(".")
        if exact := self._index.domains.get(name):
            return exact
        while "." in name:
            name = name.partition(".")[2]
            if parent := self._index.parents.get(name):
                return parent
        return None

    def policy_for(self, entry: MailboxEntry) -> ThrottlingPolicy:
        """The mailbox's own policy, else the organization's, else the global one, else Exchange's
        defaults."""
        policies = self._index.policies
        own = self._spec("ThrottlingPolicy", entry.spec.throttling_policy or "", ThrottlingPolicy)
        return own or policies.get("Organization") or policies.get("Global") or ThrottlingPolicy()

    def backend(self, entry: MailboxEntry, protocol: Literal["imap", "pop"]) -> tuple[str, int] | None:
        """Address and port of the back end that owns the mailbox's database (ProxyTargetPort of its
        server)."""
        if entry.server is None or self._spec("Server", entry.server, Server) is None:
            return None
        settings = self.imap_settings(entry.server) if protocol == "imap" else self.pop_settings(entry.server)
        return BACK_END_HOST, settings.proxy_target_port

    def server_spec(self, server: str | None = None) -> Server | None:
        """The declared server; this host's own when no name is given."""
        return self._spec("Server", server or self.server, Server)

    def imap_settings(self, server: str) -> ImapSettings:
        """Exchange makes one settings object a server: an undeclared one is all defaults."""
        return self._spec("ImapSettings", server, ImapSettings) or ImapSettings()

    def pop_settings(self, server: str) -> PopSettings:
        return self._spec("PopSettings", server, PopSettings) or PopSettings()

    def databases(self, server: str | None = None) -> tuple[str, ...]:
        """Names of the mailbox databases that the server owns."""
        owner = server or self.server
        found = self._all("MailboxDatabase", MailboxDatabase)
        return tuple(name for name, spec in sorted(found.items()) if spec.server == owner)

    def snapshot(self, server: str | None = None) -> ServerResources:
        """The resources of a server as they are now. Raises LookupError when it is not declared."""
        name = server or self.server
        spec = self.server_spec(name)
        if spec is None:
            raise LookupError(f"server {name} is not in the live configuration")
        return ServerResources(
            epoch=self.epoch,
            spec=spec,
            imap=self.imap_settings(name),
            pop=self.pop_settings(name),
            connectors=self._named_below(name, "ReceiveConnector", ReceiveConnector),
            certificates=self._named_below(name, "Certificate", Certificate),
        )

    def _spec(self, kind: str, name: str, spec_type: type[S]) -> S | None:
        resource = self._resources.get(kind, {}).get(name)
        return resource.spec if resource is not None and isinstance(resource.spec, spec_type) else None

    def _all(self, kind: str, spec_type: type[S]) -> dict[str, S]:
        present = self._resources.get(kind, {}).items()
        return {name: resource.spec for name, resource in present if isinstance(resource.spec, spec_type)}

    def _named_below(self, server: str, kind: str, spec_type: type[S]) -> dict[str, S]:
        """Live names are "<server>/<name>" for kinds of which a server has many."""
        prefix = f"{server}/"
        found = sorted(self._all(kind, spec_type).items())
        return {name.removeprefix(prefix): spec for name, spec in found if name.startswith(prefix)}

    def _is_in_domain(self, entry: MailboxEntry, logon: LogonName) -> bool:
        """`DOMAIN` is an accepted domain that the mailbox has an address in, or its first label (the NetBIOS
        name)."""
        if logon.domain is None:
            return True
        domains = {domain_of(address) for address in entry.addresses}
        return any(logon.domain in (domain, domain.partition(".")[0]) for domain in domains if domain)

    def _tell_contested(self) -> None:
        """Once for each name, for as long as it is contested."""
        contested = self._index.contested
        for name in sorted(contested.keys() - self._told):
            logger.warning(
                "the logon name %r belongs to several mailboxes (%s); it opens none of them, unless it is the "
                "primary address of one: take it away from all but one",
                name,
                ", ".join(repr(found) for found in contested[name]),
            )
        self._told = frozenset(contested)

    def _build(self) -> _Index:
        index = _Index()
        databases = self._all("MailboxDatabase", MailboxDatabase)
        for name in sorted(self._resources.get("Mailbox", {})):
            _add(index, _entry(self._resources["Mailbox"][name], databases))
        index.hash_costs = _hash_costs(index.mailboxes.values())
        if (health := self._health_mailbox) is not None and (owned := self.databases(health.server)):
            _add(index, _health_entry(health, owned[0]))
        _settle(index)
        for domain in self._all("AcceptedDomain", AcceptedDomain).values():
            _add_domain(index, domain)
        for _, policy in sorted(self._all("ThrottlingPolicy", ThrottlingPolicy).items()):
            index.policies.setdefault(str(policy.throttling_policy_scope), policy)
        return index


def _entry(resource: Resource, databases: Mapping[str, MailboxDatabase]) -> MailboxEntry:
    spec: Mailbox = resource.spec
    home = databases.get(spec.database)
    found = (smtp_address(text) for text in (spec.primary_smtp_address, *spec.email_addresses))
    return MailboxEntry(
        name=resource.name,
        spec=spec,
        addresses=frozenset(address for address in found if address),
        server=home.server if home else None,
        database=spec.database,
        password_hash=resource.credentials.get(PASSWORD),
    )


def _hash_costs(entries: Iterable[MailboxEntry]) -> dict[str, int]:
    costs = Counter(cost_of_hash(entry.password_hash) for entry in entries if entry.password_hash)
    return dict(sorted(costs.items()))


def cost_of_hash(stored: str) -> str:
    """What decides how long a hash takes: the encoded hash without its salt and tag, "$argon2id$v=19$m=…,t=…,p=…"."""
    return stored.rsplit("$", 2)[0]


def _health_entry(health: HealthMailbox, database: str) -> MailboxEntry:
    return MailboxEntry(
        name=health.name,
        spec=Mailbox(database=database, primary_smtp_address=health.address),
        addresses=frozenset({health.address.casefold()}),
        server=health.server,
        database=database,
        password_hash=health.password_hash,
        is_health_mailbox=True,
    )


def _add(index: _Index, entry: MailboxEntry) -> None:
    """Note every name of the mailbox; those that another one has too are settled when all are there."""
    index.mailboxes[entry.name] = entry
    for address in entry.addresses:
        index.addresses.setdefault(address, entry)
    for name in (entry.name, entry.spec.alias, entry.spec.user_principal_name, *entry.addresses):
        if name:
            folded = name.casefold()
            first = index.logons.setdefault(folded, entry)
            if first is not entry:
                index.contested.setdefault(folded, {first.name: first})[entry.name] = entry


def _settle(index: _Index) -> None:
    """A name that several mailboxes claim opens the one whose primary address it is, and else none: a password is
    never tried against a mailbox that its owner may not have meant. Mail to such an address goes to the same one;
    without an owner to the first by resource name, so that none is lost."""
    for name, claimants in index.contested.items():
        owners = [entry for entry in claimants.values() if _primary(entry) == name]
        if len(owners) == 1:
            index.logons[name] = owners[0]
            index.addresses[name] = owners[0]
        else:
            del index.logons[name]


def _primary(entry: MailboxEntry) -> str:
    return str(entry.spec.primary_smtp_address).casefold()


def _add_domain(index: _Index, domain: AcceptedDomain) -> None:
    name = domain.domain_name.casefold()
    bare = name.removeprefix("*.")
    index.domains.setdefault(bare, domain)
    if domain.match_sub_domains or bare != name:
        index.parents.setdefault(bare, domain)
