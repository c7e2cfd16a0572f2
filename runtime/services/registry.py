"""Which module makes which service. Modules are imported when a host first starts the service, not before.

Called by the host. A new service is one row here and one in `schemas.v1.services`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Protocol

from runtime.services.base import Host, Service, Snapshot

MODULES: Mapping[str, str] = MappingProxyType(
    {
        "imap4": "runtime.services.imap4",
        "imap4-backend": "runtime.services.imap4_backend",
        "pop3": "runtime.services.pop3",
        "pop3-backend": "runtime.services.pop3_backend",
        "frontend-transport": "runtime.services.frontend_transport",
        "transport": "runtime.services.transport",
    }
)


class ServiceFactory(Protocol):
    """`create` of a service's module."""

    def __call__(self, host: Host, snapshot: Snapshot, generation: int) -> Service: ...


def factory(service: str) -> ServiceFactory:
    """What builds a generation of `service`. Raises KeyError for a service that does not exist."""
    create: ServiceFactory = import_module(MODULES[service]).create
    return create
