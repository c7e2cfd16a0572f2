"""What is valid and probably not meant: warnings about an estate that has no error.

Fields that are declared and not acted on yet, TLS that cannot come about, mail that nobody can send. Each is said once
in a run, however many resources it is about. Reads the certificate files that the estate names, nothing else; called
by `validate`, `plan` and `apply`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache, partial
from typing import Any

from reconciler.declared.certificates import names_in
from reconciler.declared.source import Source
from reconciler.model import Desired, Diagnostic, Key, Resource, Severity
from schemas.v1.accepted_domain import AcceptedDomain
from schemas.v1.certificate import Certificate
from schemas.v1.enforcement import NOT_YET_ENFORCED
from schemas.v1.facts import fields
from schemas.v1.imap_settings import ImapSettings
from schemas.v1.kinds import KINDS
from schemas.v1.mailbox import Mailbox
from schemas.v1.pop_settings import PopSettings
from schemas.v1.server import Server
from schemas.v1.words import StartupType

_SHOWN = 8
_SETTINGS = (("ImapSettings", "IMAP", "imap4"), ("PopSettings", "POP", "pop3"))


def remarks(desired: Desired, source: Source) -> tuple[Diagnostic, ...]:
    """Every warning that the files alone give."""
    names = {
        key: names_in(resource.spec, source)
        for key, resource in desired.resources.items()
        if isinstance(resource.spec, Certificate)
    }
    return (
        *not_enforced(desired),
        *_other_names(desired, names),
        *_without_certificate(desired, names),
        *_unknown_domains(desired),
    )


def not_enforced(desired: Desired) -> Iterator[Diagnostic]:
    """One warning for all fields that differ from their default and that the runtime does not act on yet."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for key, resource in desired.resources.items():
        values = resource.spec.__dict__
        waiting = [path for path, name, default in _waiting(key.kind) if values[name] != default]
        if waiting and resource.allows("not-enforced"):
            message = f"{key}: declared, not yet enforced: {', '.join(waiting)}"
            yield _about(resource, waiting[0], "not-enforced", message, f"see `reconcile explain {key.kind}`")
            continue
        for path in waiting:
            found[key.kind, path].append(key.name)
    if not found:
        return
    words = [f"{kind}/{_some(names)} {path}" for (kind, path), names in found.items()]
    more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    message = f"declared, not yet enforced: {', '.join(words[:_SHOWN])}{more}"
    kinds = ", ".join(f"`reconcile explain {kind}`" for kind in dict.fromkeys(kind for kind, _ in found))
    yield Diagnostic("not-enforced", Severity.WARNING, message, hint=f"see {kinds}")


def _some(names: list[str]) -> str:
    others = len(names) - 1
    return names[0] + (f" and {others:,} other{'s' if others > 1 else ''}" if others else "")


@cache
def _waiting(kind: str) -> tuple[tuple[str, str, Any], ...]:
    """(path, attribute, default) of each field of the kind that nothing is done about; all stand at the top."""
    known, declared = fields(kind), KINDS[kind].spec.model_fields
    return tuple(
        (path, attribute, declared[attribute].get_default(call_default_factory=True, validated_data={}))
        for path in sorted(NOT_YET_ENFORCED.get(kind, ()))
        if (attribute := known[path].attribute) in declared
    )


# TLS

Names = dict[Key, tuple[str, ...]]


def _other_names(desired: Desired, names: Names) -> Iterator[Diagnostic]:
    """Certificates from files that no name that clients use is in."""
    for key, found in names.items():
        resource = desired.resources[key]
        wanted = tuple(_wanted(desired, key.name.partition("/")[0]))
        if found and wanted and not any(_covers(name, one) for name in found for one in wanted):
            message = f"{key}: its names ({', '.join(found[:_SHOWN])}) do not cover {wanted[0]}"
            hint = "clients would refuse it; name a certificate for this server, or change the server's fqdn"
            yield _about(resource, "certificateFile", "certificate-name", message, hint)


def _wanted(desired: Desired, server: str) -> Iterator[str]:
    """The names by which clients know the server: its own, then those of its settings."""
    owner = desired.resources.get(Key("Server", server))
    if owner is not None and isinstance(owner.spec, Server):
        yield owner.spec.fqdn.lower()
    for kind, _, _ in _SETTINGS:
        declared = desired.resources.get(Key(kind, server))
        if declared is not None and isinstance(declared.spec, ImapSettings | PopSettings):
            name = declared.spec.x509_certificate_name
            yield from (name.lower(),) if name else ()


def _covers(name: str, wanted: str) -> bool:
    return name == wanted or (name.startswith("*.") and name[2:] == wanted.partition(".")[2])


def _without_certificate(desired: Desired, names: Names) -> Iterator[Diagnostic]:
    theirs: dict[str, Names] = defaultdict(dict)
    for key, found in names.items():
        theirs[key.name.partition("/")[0]][key] = found
    for key, resource in desired.resources.items():
        if not isinstance(resource.spec, Server):
            continue
        for kind, protocol, service in _SETTINGS:
            if _starts(resource.spec, service) and not _is_secured(desired, protocol, theirs[key.name]):
                declared = desired.resources.get(Key(kind, key.name))
                settings = declared.spec if declared else KINDS[kind].spec()
                if isinstance(settings, ImapSettings | PopSettings) and settings.ssl_bindings:
                    message = f"{key}: no certificate is enabled for {protocol}, so {service} has no TLS"
                    hint = f"declare a Certificate with services: [{protocol}]"
                    yield _about(declared or resource, "sslBindings", "no-certificate", message, hint)


def _starts(server: Server, service: str) -> bool:
    services = server.services
    found = services.imap4 if service == "imap4" else services.pop3
    return found.startup_type is StartupType.AUTOMATIC


def _is_secured(desired: Desired, protocol: str, names: Names) -> bool:
    """A certificate of the server is enabled for the protocol, or is a wildcard, which is chosen by its name alone."""
    return any(
        protocol in getattr(desired.resources[key].spec, "services", ())
        or any(name.startswith("*.") for name in found)
        for key, found in names.items()
    )


# Domains


def _unknown_domains(desired: Desired) -> Iterator[Diagnostic]:
    accepted = frozenset(_accepted(resource.spec for resource in desired.resources.values()))
    is_known = cache(partial(_is_accepted, accepted=accepted))
    told: set[str] = set()
    for key, resource in desired.resources.items():
        if not isinstance(resource.spec, Mailbox):
            continue
        domain = resource.spec.primary_smtp_address.rpartition("@")[2].lower()
        if domain not in told and not is_known(domain):
            if not resource.allows("unknown-domain"):
                told.add(domain)
            message = f"{key}: no AcceptedDomain covers {domain}, so no mail arrives for it"
            hint = f"declare an AcceptedDomain with domainName: {domain}"
            yield _about(resource, "primarySmtpAddress", "unknown-domain", message, hint)


def _accepted(specs: Iterable[object]) -> Iterator[str]:
    for spec in specs:
        if isinstance(spec, AcceptedDomain):
            name = spec.domain_name.lower()
            yield name
            if spec.match_sub_domains:
                yield f"*.{name}"


def _is_accepted(domain: str, accepted: frozenset[str]) -> bool:
    parents = domain.split(".")
    wildcards = {"*." + ".".join(parents[number:]) for number in range(len(parents))}
    return domain in accepted or bool(wildcards & accepted)


def _about(resource: Resource, path: str, code: str, message: str, hint: str) -> Diagnostic:
    allowed = resource.allows(code)
    return Diagnostic(code, Severity.WARNING, message, resource.position(path), hint, allowed)
