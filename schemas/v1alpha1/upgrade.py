"""reconciler/v1alpha1 → reconciler/v1: what moved where, as one table, and the pure function that moves it.

What differed from v1:

    any kind          server: ex01  |  serverLabels: {site: dublin}     one server, or labels, beside the settings
    Server            services: [{name: imap4, startup: Automatic}]     a list
    ImapSettings,     listen: {plain, tls}                              groups, where v1 has fields in Exchange's names
    PopSettings       limits: {connections, perAddress, perUser, commandSize}
                      timeouts: {authenticated, preAuthenticated}
    Mailbox           addresses: {primary, others}, password: {file: …}

`upgrade` takes a document that the schema of v1alpha1 accepts, or a part of one as overlays hold; whatever it does not
know it leaves where it is, for v1 to refuse. It reads nothing and checks nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

API_VERSION: Final = "reconciler/v1alpha1"
NEXT_VERSION: Final = "reconciler/v1"

Trail = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Upgraded:
    """The new document, and for each of its nodes the trail of the old one that it comes from."""

    document: dict[str, Any]
    origins: Mapping[Trail, Trail]


@dataclass(slots=True)
class _Node:
    """A value with where it was; mappings and lists hold nodes."""

    value: Any
    origin: Trail


_Fields = dict[str, _Node]
Step = Callable[[_Fields], _Fields]


def upgrade(document: Mapping[str, Any]) -> Upgraded:
    """The document in the next version's form."""
    root = _tree(dict(document), ())
    fields: _Fields = root.value
    if "apiVersion" in fields:
        fields["apiVersion"] = _Node(NEXT_VERSION, ("apiVersion",))
    spec = fields.get("spec")
    if spec is not None and isinstance(spec.value, dict):
        for step in _STEPS.get(str(document.get("kind")), ()):
            spec.value = step(spec.value)
    return Upgraded(_plain(root), dict(_origins(root, ())))


# The steps: each takes the fields of a spec and returns them rearranged, in the order of the old ones.


def _replaced(name: str, by: Callable[[_Node], _Fields]) -> Step:
    """In the place of the field stand those that `by` makes of it; of a value it cannot be made of, it stays."""

    def step(fields: _Fields) -> _Fields:
        found: _Fields = {}
        for key, node in fields.items():
            found |= by(node) if key == name else {key: node}
        return found

    return step


def _listed(old: str, new: str) -> Step:
    return _replaced(old, lambda node: {new: _Node([node], node.origin)})


def _wrapped(old: str, new: str, key: str) -> Step:
    return _replaced(old, lambda node: {new: _Node({key: node}, node.origin)})


def _lifted(group: str, names: Mapping[str, str]) -> Step:
    """The members of a group become fields of the spec under new names."""

    def lift(node: _Node) -> _Fields:
        if not isinstance(node.value, dict) or not node.value.keys() <= names.keys():
            return {group: node}
        return {names[key]: child for key, child in node.value.items()}

    return _replaced(group, lift)


def _keyed(old: str, key: str, names: Mapping[str, str]) -> Step:
    """A list of mappings becomes a mapping by one of their fields; the others get new names."""

    def by_key(node: _Node) -> _Fields:
        items = node.value if isinstance(node.value, list) else [node]
        if not all(isinstance(item.value, dict) and key in item.value for item in items):
            return {old: node}
        found = {
            str(item.value[key].value): _Node(_renamed(item.value, key, names), item.origin) for item in items
        }
        return {old: _Node(found, node.origin)}

    return _replaced(old, by_key)


def _renamed(fields: _Fields, key: str, names: Mapping[str, str]) -> _Fields:
    return {names.get(name, name): node for name, node in fields.items() if name != key}


_SERVERS = (_listed("server", "servers"), _wrapped("serverLabels", "servers", "matchLabels"))
_SETTINGS = (
    *_SERVERS,
    _lifted("listen", {"plain": "unencryptedOrTLSBindings", "tls": "sslBindings"}),
    _lifted(
        "limits",
        {
            "connections": "maxConnections",
            "perAddress": "maxConnectionFromSingleIP",
            "perUser": "maxConnectionsPerUser",
            "commandSize": "maxCommandSize",
        },
    ),
    _lifted(
        "timeouts",
        {
            "authenticated": "authenticatedConnectionTimeout",
            "preAuthenticated": "preAuthenticatedConnectionTimeout",
        },
    ),
)
_STEPS: Mapping[str, tuple[Step, ...]] = {
    "Server": (_keyed("services", "name", {"startup": "startupType"}),),
    "Certificate": _SERVERS,
    "ReceiveConnector": _SERVERS,
    "ImapSettings": _SETTINGS,
    "PopSettings": _SETTINGS,
    "Mailbox": (
        _lifted("addresses", {"primary": "primarySmtpAddress", "others": "emailAddresses"}),
        _wrapped("password", "password", "secretRef"),
    ),
}


# Values as nodes and back; files nest 64 levels at most.


def _tree(value: Any, trail: Trail) -> _Node:
    if isinstance(value, dict):
        return _Node({name: _tree(child, (*trail, name)) for name, child in value.items()}, trail)
    if isinstance(value, list):
        return _Node([_tree(child, (*trail, number)) for number, child in enumerate(value)], trail)
    return _Node(value, trail)


def _plain(node: _Node) -> Any:
    if isinstance(node.value, dict):
        return {name: _plain(child) for name, child in node.value.items()}
    return [_plain(child) for child in node.value] if isinstance(node.value, list) else node.value


def _origins(node: _Node, trail: Trail) -> Iterator[tuple[Trail, Trail]]:
    yield trail, node.origin
    if isinstance(node.value, dict):
        for name, child in node.value.items():
            yield from _origins(child, (*trail, name))
    elif isinstance(node.value, list):
        for number, child in enumerate(node.value):
            yield from _origins(child, (*trail, number))
