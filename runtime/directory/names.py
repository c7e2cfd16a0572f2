"""The grammar of logon names: what a client may call a mailbox. Pure text; nothing is looked up here.

Exchange's POP and IMAP accept an address or user principal name, an alias, and `DOMAIN\\alias` or
`DOMAIN/alias`; the shared-mailbox form `DOMAIN/user/alias` parses, and is the mailbox itself when user and
alias agree. Everything else is refused before any look-up. Called by the directory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: RFC 5321 4.5.3.1: 64 + 1 + 255, and nothing that names a mailbox is longer.
MAX_LOGON_NAME = 320

_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SEPARATORS = re.compile(r"[\\/]")


@dataclass(frozen=True, slots=True)
class LogonName:
    """`name` is lower-cased; `domain` is what stood before the separator, or None."""

    name: str
    domain: str | None = None


def parse_logon_name(text: str) -> LogonName | None:
    """None for text that cannot be a logon name: empty, too long, control characters, too many parts, or a user
    other than the mailbox (opening another's mailbox is not offered)."""
    if not text or len(text) > MAX_LOGON_NAME or _FORBIDDEN.search(text):
        return None
    parts = _SEPARATORS.split(text.strip().casefold())
    if not all(parts) or len(parts) > 3:
        return None
    if len(parts) == 1:
        return LogonName(parts[0])
    if len(parts) == 3 and parts[1] != parts[2]:
        return None
    return LogonName(parts[-1], parts[0])


def smtp_address(proxy_address: str) -> str | None:
    """The address of an Exchange proxy address ("SMTP:a@b", "smtp:a@b" or plain "a@b"), lower-cased; None for other
    address types."""
    kind, colon, rest = proxy_address.partition(":")
    if not colon:
        return proxy_address.casefold()
    return rest.casefold() if kind.casefold() == "smtp" else None


def domain_of(address: str) -> str:
    """What follows the last "@"; empty without one."""
    return address.rpartition("@")[2] if "@" in address else ""
