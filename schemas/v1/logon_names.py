"""Names that belong to one resource of a kind only, folded as they are compared: those that a mailbox answers to, and
the domain of an AcceptedDomain. Pure; who checks that none belongs to two only asks here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from schemas.v1.accepted_domain import AcceptedDomain
from schemas.v1.base import Spec
from schemas.v1.mailbox import Mailbox

#: The kinds that have such names, and the fields that say them.
UNIQUE_FIELDS: Mapping[str, frozenset[str]] = {
    "AcceptedDomain": frozenset({"domainName"}),
    "Mailbox": frozenset({"alias", "primarySmtpAddress", "userPrincipalName", "emailAddresses"}),
}
_SINGLE = ("alias", "primarySmtpAddress", "userPrincipalName")


def logon_names(name: str, mailbox: Mailbox) -> Iterator[tuple[str, str]]:
    """The field that says so, and the name; `name` is the mailbox's metadata.name."""
    single = (mailbox.alias, mailbox.primary_smtp_address, mailbox.user_principal_name)
    return _logon_names(name, single, mailbox.email_addresses)


def unique_names(name: str, spec: Spec) -> Iterator[tuple[str, str]]:
    """The same for whatever kind the spec is of; nothing for most."""
    if isinstance(spec, Mailbox):
        yield from logon_names(name, spec)
    elif isinstance(spec, AcceptedDomain):
        yield "domainName", spec.domain_name.casefold()


def unique_names_in(kind: str, name: str, canonical: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The same from a spec's canonical form, which may be another version's: what is no text is passed over."""
    if kind == "Mailbox":
        others = canonical.get("emailAddresses")
        single = (canonical.get(path) for path in _SINGLE)
        yield from _logon_names(name, single, others if isinstance(others, list) else ())
    elif kind == "AcceptedDomain" and isinstance(domain := canonical.get("domainName"), str):
        yield "domainName", domain.casefold()


class Clash(NamedTuple):
    """The resource `key` (kind and name) asks for `name`, which the resource `holder` of that kind has."""

    key: tuple[str, str]
    name: str
    holder: str


def clashes(
    asked: Mapping[tuple[str, str], Collection[str]], holders: Mapping[tuple[str, str], Collection[str]]
) -> Iterator[Clash]:
    """What many writes lead to. `asked`: the names that each resource has after them and had not before, in the order
    of the writes; `holders`: the resources that have a name (kind and name) after them. Of two that ask for one name
    the second is in the wrong; whoever had it before, and has it still, never is."""
    seen: set[tuple[str, str]] = set()
    for key, names in asked.items():
        seen.add(key)
        for name in sorted(names):
            for holder in holders.get((key[0], name), ()):
                other = (key[0], holder)
                if other != key and (other in seen or name not in asked.get(other, ())):
                    yield Clash(key, name, holder)


def _logon_names(name: str, single: Iterable[Any], addresses: Iterable[Any]) -> Iterator[tuple[str, str]]:
    yield "metadata.name", name.casefold()
    for path, text in zip(_SINGLE, single, strict=True):
        if isinstance(text, str):
            yield path, text.casefold()
    for address in addresses:
        if isinstance(address, str) and ":" not in address:
            yield "emailAddresses", address.casefold()
