"""The kinds that can be declared: one row a kind, with its scope and its rank in the order of changes.

        rank 0   Server
        rank 1   Certificate, AcceptedDomain, ThrottlingPolicy, MailboxDatabase
        rank 2   ImapSettings, PopSettings
        rank 3   ReceiveConnector, Mailbox

Creates climb the ranks and deletes descend, so that whatever a resource names is there before it and goes after it.
The module of a kind is imported when its spec is first asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from schemas.v1.base import Spec

#: estate: the live name is metadata.name. server: one live resource a selected server, named as the server.
#: server-named: one a selected server, named "<server>/<metadata.name>".
Scope = Literal["estate", "server", "server-named"]


@cache
def _spec(module: str, name: str) -> type[Spec]:
    return cast("type[Spec]", getattr(import_module(f"schemas.v1.{module}"), name))


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of thing that can be declared."""

    name: str
    scope: Scope
    rank: int
    description: str
    module: str = field(repr=False)

    @property
    def spec(self) -> type[Spec]:
        """The class of its specs."""
        return _spec(self.module, self.name)

    @property
    def selects_servers(self) -> bool:
        """True when a document of this kind says in spec.servers which servers it is for."""
        return self.scope != "estate"

    def live_name(self, name: str, server: str | None = None) -> str:
        """Return the live name of a document's resource. `server` is needed by the kinds that select servers."""
        if self.scope == "estate":
            return name
        if server is None:
            raise ValueError(f"a live {self.name} belongs to a server")
        return server if self.scope == "server" else f"{server}/{name}"

    def server_of(self, live_name: str) -> str | None:
        """Return the server that a live name belongs to; None for kinds of the whole estate but Server itself."""
        if self.name == "Server":
            return live_name
        return live_name.partition("/")[0] if self.selects_servers else None


_ROWS = (
    Kind("Server", "estate", 0, "A server and the services that it runs.", "server"),
    Kind(
        "Certificate", "server-named", 1, "A TLS certificate and the services that offer it.", "certificate"
    ),
    Kind("AcceptedDomain", "estate", 1, "A domain that mail is received for.", "accepted_domain"),
    Kind("ThrottlingPolicy", "estate", 1, "Budgets and rates of users.", "throttling_policy"),
    Kind("MailboxDatabase", "estate", 1, "A database of mailboxes on a server.", "mailbox_database"),
    Kind("ImapSettings", "server", 2, "The IMAP4 services of a server.", "imap_settings"),
    Kind("PopSettings", "server", 2, "The POP3 services of a server.", "pop_settings"),
    Kind("ReceiveConnector", "server-named", 3, "Where a server takes mail by SMTP.", "receive_connector"),
    Kind("Mailbox", "estate", 3, "A user's mailbox.", "mailbox"),
)

KINDS: Mapping[str, Kind] = MappingProxyType({row.name: row for row in _ROWS})
