"""Live resources that the models of this version refuse, for example since a newer version wrote them.

Such a resource keeps the services that are made of it from a new generation, and no other. What can be told of it
without its model is told here; nothing is ever started from it. Called by `blueprint`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runtime.live.resource import Row
from runtime.supervisor.certificates import CERTIFICATE_SERVICE
from schemas.v1.services import SERVICES

#: The services that are made of each kind of which a service has its own.
_MADE_OF = {
    "ImapSettings": ("imap4", "imap4-backend"),
    "PopSettings": ("pop3", "pop3-backend"),
    "ReceiveConnector": ("frontend-transport", "transport"),
}


@dataclass(frozen=True, slots=True)
class Unreadable:
    """One of them: `problem` says why it is refused, `stored` is the JSON object that it is stored as, if any."""

    kind: str
    problem: str
    stored: Mapping[str, Any]

    def concerns(self, service: str) -> bool:
        """True when `service` cannot be built without it; in doubt it cannot."""
        if self.kind == "Certificate":
            return self._is_shown_by(service)
        return service in _MADE_OF.get(self.kind, SERVICES)

    def startup_type(self, service: str) -> str:
        """Of a server: what is stored, else the default."""
        return _startup_type(self.stored, service) or SERVICES[service].default_startup_type

    def _is_shown_by(self, service: str) -> bool:
        enabled = self.stored.get("services")
        word = CERTIFICATE_SERVICE.get(service)
        return word is not None and (not isinstance(enabled, list) or word in enabled)


def unreadable(row: Row, problem: str) -> Unreadable:
    """What can be told of a row that was refused with `problem`."""
    return Unreadable(row.kind, problem, _object_in(row.spec))


def _object_in(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _startup_type(stored: Mapping[str, Any], service: str) -> str | None:
    services = stored.get("services")
    settings = services.get(service) if isinstance(services, dict) else None
    found = settings.get("startupType") if isinstance(settings, dict) else None
    return found if isinstance(found, str) else None
