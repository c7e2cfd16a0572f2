"""The account that probes log on with, one a server, as Exchange's HealthMailbox.

Made anew at each start of the runtime and known only to it and its hosts: never in the live configuration,
never on disk. Whoever may read the control socket may ask for it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from runtime.directory.logon import hasher
from schemas.v1.server import Server


@dataclass(frozen=True, slots=True)
class HealthAccount:
    """Name, address and password of one server's health mailbox."""

    server: str
    name: str
    address: str
    password: str = field(repr=False)
    password_hash: str = field(repr=False)


def make(server: str, spec: Server) -> HealthAccount:
    """A new account with a random password of 32 bytes. Blocking: one password hash."""
    name = f"HealthMailbox{secrets.token_hex(16)}"
    password = secrets.token_urlsafe(32)
    return HealthAccount(
        server=server,
        name=name,
        address=f"{name}@{spec.fqdn}",
        password=password,
        password_hash=hasher(spec.password_hashing).hash(password),
    )
