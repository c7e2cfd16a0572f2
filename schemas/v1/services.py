"""The services that a server runs, by name. A service id is "<server>/<service>", such as ex01/imap4.

One table; `Server` declares their startup types, `effects.py` and the runtime look them up here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

HostRole = Literal["frontend", "backend"]
Startup = Literal["Manual", "Automatic", "Disabled"]


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """One service: the host process that carries it, Exchange's name for it, and how it starts by default."""

    name: str
    host_role: HostRole
    exchange_name: str
    default_startup_type: Startup


_ROWS = (
    ServiceFacts("imap4", "frontend", "MSExchangeIMAP4", "Manual"),
    ServiceFacts("imap4-backend", "backend", "MSExchangeIMAP4BE", "Manual"),
    ServiceFacts("pop3", "frontend", "MSExchangePOP3", "Manual"),
    ServiceFacts("pop3-backend", "backend", "MSExchangePOP3BE", "Manual"),
    ServiceFacts("frontend-transport", "frontend", "MSExchangeFrontEndTransport", "Automatic"),
    ServiceFacts("transport", "backend", "MSExchangeTransport", "Automatic"),
)

SERVICES: Mapping[str, ServiceFacts] = MappingProxyType({row.name: row for row in _ROWS})
