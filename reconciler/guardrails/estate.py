"""What is declared and planned, as the documents that policies see. `variables` lists them, docs/guardrails.md shows
them.

Documents are JSON-able data in YAML's names, built when a policy first asks and kept as long as one evaluation. Nothing
here evaluates a policy.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property
from typing import Any

from pydantic import JsonValue

from reconciler.guardrails.certificates import Facts, certificate_facts
from reconciler.guardrails.listeners import clashes, listeners
from reconciler.model import Action, Desired, Key, LiveState, Plan, Present, Resource
from schemas.v1.accepted_domain import AcceptedDomain, DomainType
from schemas.v1.certificate import Certificate
from schemas.v1.codec import dump_spec
from schemas.v1.kinds import KINDS
from schemas.v1.mailbox import Mailbox
from schemas.v1.mailbox_database import MailboxDatabase
from schemas.v1.server import Server
from schemas.v1.throttling_policy import ThrottlingPolicy, ThrottlingPolicyScope

Json = dict[str, JsonValue]
FactsOf = Callable[[Resource, str | None], Facts]

_ACTIONS = {Action.CREATE: "create", Action.UPDATE: "update", Action.DELETE: "delete"}
_EVERYBODY = (ThrottlingPolicyScope.ORGANIZATION, ThrottlingPolicyScope.GLOBAL)


def facts_of_file(resource: Resource, fqdn: str | None) -> Facts:
    """The facts of a declared certificate, from its file."""
    assert isinstance(resource.spec, Certificate)
    return certificate_facts(resource.spec, fqdn)


class Estate:
    """One plan and what it was made from. `environment` are labels that every resource has unless it says otherwise."""

    def __init__(
        self,
        desired: Desired,
        live: LiveState,
        plan: Plan,
        *,
        environment: Mapping[str, str],
        facts_of: FactsOf = facts_of_file,
    ) -> None:
        self.desired = desired
        self.live = live
        self.plan = plan
        self.environment = environment
        self._facts_of = facts_of
        self._servers: dict[str, Json | None] = {}
        self._facts: dict[Key, Facts] = {}

    @cached_property
    def by_kind(self) -> Mapping[str, list[Resource]]:
        """The declared resources of each kind."""
        found: dict[str, list[Resource]] = defaultdict(list)
        for resource in self.desired.resources.values():
            found[resource.key.kind].append(resource)
        return found

    @cached_property
    def _changes(self) -> Mapping[Key, tuple[str, list[JsonValue]]]:
        return {
            change.key: (_ACTIONS[change.action], [field.path for field in change.fields])
            for change in self.plan.changes
        }

    @cached_property
    def _by_server(self) -> Mapping[str, list[Resource]]:
        found: dict[str, list[Resource]] = defaultdict(list)
        for resource in self.desired.resources.values():
            if resource.key.kind != "Mailbox" and (server := self.server_of(resource)) is not None:
                found[server].append(resource)
        return found

    def server_of(self, resource: Resource) -> str | None:
        """The server that a resource belongs to, a mailbox through its database; None for those of the whole estate."""
        match resource.spec:
            case MailboxDatabase(server=server):
                return server
            case Mailbox(database=name):
                database = self.desired.resources.get(Key("MailboxDatabase", name))
                return None if database is None else self.server_of(database)
            case _:
                return KINDS[resource.key.kind].server_of(resource.key.name)

    def labels(self, resource: Resource) -> Mapping[str, str]:
        """The labels of the run, of the server, and of the resource; the nearest wins."""
        server = self.desired.resources.get(Key("Server", self.server_of(resource) or ""))
        return {**self.environment, **(server.labels if server else {}), **resource.labels}

    # Documents.

    def resource(self, resource: Resource, *, has_spec: bool = True) -> Json:
        """`resource`. Without `has_spec` the spec, which costs most, is left out."""
        action, changed = self._changes.get(resource.key, ("none", []))
        document: Json = {
            "kind": resource.key.kind,
            "name": resource.key.name,
            "server": self.server_of(resource),
            "action": action,
            "changed": changed,
            "labels": dict(self.labels(resource)),
            "secrets": {path: {"source": ref.source} for path, ref in resource.secrets.items()},
        }
        if has_spec:
            document["spec"] = dump_spec(resource.spec)
        if isinstance(resource.spec, Certificate):
            document["certificate"] = dict(self.facts(resource))
        if resource.key.kind in ("ImapSettings", "PopSettings", "ReceiveConnector"):
            document["clashes"] = list(clashes(resource, self._by_server[str(document["server"])]))
        return document

    def facts(self, resource: Resource) -> Facts:
        """The facts of a certificate."""
        if resource.key not in self._facts:
            self._facts[resource.key] = self._facts_of(resource, self._fqdn(self.server_of(resource)))
        return self._facts[resource.key]

    def _fqdn(self, server: str | None) -> str | None:
        declared = self.desired.resources.get(Key("Server", server or ""))
        return declared.spec.fqdn if declared and isinstance(declared.spec, Server) else None

    def server(self, name: str | None) -> Json | None:
        """`server`; None when there is none."""
        if name is None:
            return None
        if name not in self._servers:
            declared = self.desired.resources.get(Key("Server", name))
            self._servers[name] = None if declared is None else self._server(declared)
        return self._servers[name]

    def _server(self, declared: Resource) -> Json:
        name = declared.key.name
        members = self._by_server[name]
        spec = dump_spec(declared.spec)
        found: Any = {
            "name": name,
            "fqdn": spec["fqdn"],
            "site": spec["site"],
            "labels": dict(self.labels(declared)),
            "services": {
                service: _at(settings, "startupType") for service, settings in _items(spec["services"])
            },
            "imap": self._spec_of("ImapSettings", name),
            "pop": self._spec_of("PopSettings", name),
            "certificates": [
                {"name": one.key.name, **self.facts(one)}
                for one in members
                if isinstance(one.spec, Certificate)
            ],
            "listeners": [listener.json() for one in members for listener in listeners(one)],
        }
        document: Json = found
        return document

    def _spec_of(self, kind: str, name: str) -> JsonValue:
        declared = self.desired.resources.get(Key(kind, name))
        return None if declared is None else dump_spec(declared.spec)

    @cached_property
    def summary(self) -> Json:
        """`estate`."""
        live = [key for key, observed in self.live.resources.items() if isinstance(observed, Present)]
        domains = [one.spec for one in self.by_kind.get("AcceptedDomain", ())]
        accepted = [spec for spec in domains if isinstance(spec, AcceptedDomain)]
        found: Any = {
            "declared": {kind: len(self.by_kind.get(kind, ())) for kind in KINDS},
            "declaredTotal": len(self.desired.resources),
            "live": dict.fromkeys(KINDS, 0) | Counter(key.kind for key in live),
            "liveTotal": len(live),
            "authoritativeDomains": [
                spec.domain_name for spec in accepted if spec.domain_type is DomainType.AUTHORITATIVE
            ],
            "throttling": dump_spec(self._throttling()),
        }
        document: Json = found
        return document

    def _throttling(self) -> ThrottlingPolicy:
        """The policy of everybody whose mailbox names none: of the organization, the global one, or the defaults."""
        specs = [one.spec for one in self.by_kind.get("ThrottlingPolicy", ())]
        policies = [spec for spec in specs if isinstance(spec, ThrottlingPolicy)]
        wanted = (p for scope in _EVERYBODY for p in policies if p.throttling_policy_scope is scope)
        return next(wanted, None) or ThrottlingPolicy()

    def sites(self, touched: Collection[str]) -> Iterator[Json]:
        """`site`, one after another: the servers of each, and of each service who runs it and who restarts it.
        `touched` are the services that restart or stop."""
        by_site: dict[str, list[Json]] = defaultdict(list)
        for resource in self.by_kind.get("Server", ()):
            server = self.server(resource.key.name) or {}
            site = server["site"] or self.labels(resource).get("site")
            if site:
                by_site[str(site)].append(server)
        for name, servers in sorted(by_site.items()):
            yield {
                "name": name,
                "servers": [server["name"] for server in servers],
                "services": [_site_service(service, servers, touched) for service in _services(servers)],
            }


def _services(servers: list[Json]) -> list[str]:
    return sorted({service for server in servers for service, _ in _items(server["services"])})


def _site_service(service: str, servers: list[Json], touched: Collection[str]) -> Json:
    running = [server["name"] for server in servers if _at(server["services"], service) == "Automatic"]
    return {
        "name": service,
        "servers": running,
        "restarting": [name for name in running if f"{name}/{service}" in touched],
    }


def _items(value: JsonValue) -> Iterator[tuple[str, JsonValue]]:
    yield from value.items() if isinstance(value, dict) else ()


def _at(value: JsonValue, key: str) -> JsonValue:
    return value.get(key) if isinstance(value, dict) else None
