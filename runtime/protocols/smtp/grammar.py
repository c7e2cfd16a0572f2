"""SMTP's grammar as named pieces: what a domain, a mailbox, a path and a parameter look like (RFC 5321 4.1.2, 4.1.3).

Every pattern is anchored, has no nested repetition over the same characters and runs on one command line of bounded
length. This module matches text; it keeps nothing and decides nothing. The reader calls it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Exchange: an SMTP address has at most 571 characters, 315 before and 255 behind the @.
MAX_ADDRESS = 571
MAX_LOCAL_PART = 315
MAX_DOMAIN = 255

_ATEXT = r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]"
_DOT_STRING = rf"{_ATEXT}+(?:\.{_ATEXT}+)*"
_QUOTED_STRING = r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\[\x20-\x7e])*"'
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9_\-]*[A-Za-z0-9])?"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*\.?"
_LITERAL = r"\[(?:IPv6:)?[0-9A-Fa-f:.]{2,45}\]"
_MAILBOX = rf"(?P<local>{_DOT_STRING}|{_QUOTED_STRING})@(?P<domain>{_DOMAIN}|{_LITERAL})"
_ROUTE = rf"(?:@{_DOMAIN}(?:,@{_DOMAIN})*:)?"
_PARAMETER = r"[A-Za-z0-9][A-Za-z0-9\-]*(?:=[\x21-\x3c\x3e-\x7e]+)?"

#: Windows hosts greet with names that hold an underscore; the field takes them, so do we.
_HELLO = re.compile(rf"(?:[A-Za-z0-9_][A-Za-z0-9_\-]*(?:\.[A-Za-z0-9_][A-Za-z0-9_\-]*)*\.?|{_LITERAL})")
_PATH = re.compile(rf"<{_ROUTE}(?:{_MAILBOX}|(?P<postmaster>[Pp][Oo][Ss][Tt][Mm][Aa][Ss][Tt][Ee][Rr]))?>")
_PARAMETERS = re.compile(rf"(?: +{_PARAMETER})* *")
_VERB = re.compile(r"[A-Za-z][A-Za-z0-9\-]*")
_MESSAGE_ID = re.compile(rb"[ \t]*(?:\r\n[ \t]+)?(<[\x21-\x3b\x3d\x3f-\x7e]{1,900}>)")


@dataclass(frozen=True, slots=True)
class Path:
    """A reverse or forward path. `address` is "" for <>, and "postmaster" for <Postmaster> (RFC 5321 4.5.1)."""

    address: str
    rest: str


def parse_command(line: str) -> tuple[str, str] | None:
    """Split a line into the upper-case verb and its argument; None when it starts with no verb."""
    verb, _, argument = line.partition(" ")
    return (verb.upper(), argument.strip(" ")) if _VERB.fullmatch(verb) else None


def is_hello_domain(text: str) -> bool:
    """Whether EHLO or HELO may be given this: a host name or an address literal (RFC 5321 4.1.1.1)."""
    return len(text) <= MAX_DOMAIN and _HELLO.fullmatch(text) is not None


def parse_path(text: str, keyword: str) -> Path | None:
    """Parse "FROM:<path> parameters" or "TO:<path> parameters"; a source route is read over (RFC 5321 appendix C).

    Blanks behind the colon are taken, as Exchange does. None when the path is malformed or too long.
    """
    head = text[: len(keyword)]
    if head.upper() != keyword:
        return None
    rest = text[len(keyword) :].lstrip(" ")
    match = _PATH.match(rest)
    if match is None:
        return None
    address = _address(match)
    return None if address is None else Path(address, rest[match.end() :])


def _address(match: re.Match[str]) -> str | None:
    local, domain = match["local"], match["domain"]
    if local is None:
        return "postmaster" if match["postmaster"] else ""
    if len(local) > MAX_LOCAL_PART or len(domain) > MAX_DOMAIN or len(local) + len(domain) >= MAX_ADDRESS:
        return None
    return f"{local}@{domain.rstrip('.')}"


def parse_parameters(text: str) -> dict[str, str | None] | None:
    """Parse " KEY=value KEY" behind a path into upper-case keys; None when malformed or a key comes twice."""
    if not text:
        return {}
    if _PARAMETERS.fullmatch(text) is None:
        return None
    found: dict[str, str | None] = {}
    for word in text.split():
        key, has_value, value = word.partition("=")
        if key.upper() in found:
            return None
        found[key.upper()] = value if has_value else None
    return found


def is_mailbox(text: str) -> bool:
    """Whether `text` is local-part@domain and fits the length limits."""
    path = parse_path(f"TO:<{text}>", "TO:")
    return path is not None and "@" in path.address and not path.rest


def split_address(address: str) -> tuple[str, str]:
    """(local part, domain in lower case); the domain is "" when there is none."""
    local, _, domain = address.rpartition("@")
    return (local, domain.lower()) if local else (address, "")


def find_message_id(header: bytes) -> str | None:
    """The Message-ID of a header section, with its angle brackets; None when there is none that is well-formed."""
    # A search for bytes is many times faster than a pattern that is tried at every octet of the header.
    name = b"\nmessage-id:"
    start = (b"\n" + header[:65_536].lower()).find(name)
    match = _MESSAGE_ID.match(header, start + len(name) - 1) if start >= 0 else None
    return match[1].decode("ascii") if match else None
