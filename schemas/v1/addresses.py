"""Types of addresses and names: bindings, ranges of client addresses, host names, SMTP addresses, host:port lists.

Host names and the domains of addresses are kept in lower case; the local part of an address keeps its spelling. Nothing
is looked up in DNS.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Annotated, Any, Literal

from schemas.v1.scalar import Scalar

IpAddress = IPv4Address | IPv6Address

# Host names.

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_HOST_SCHEMA: Any = {"type": "string", "pattern": rf"^{_LABEL}(\.{_LABEL})*$", "maxLength": 253}
_WILDCARD_SCHEMA: Any = {"type": "string", "pattern": rf"^(\*\.)?{_LABEL}(\.{_LABEL})*$", "maxLength": 255}


def parse_host_name(value: object) -> str:
    """Return the host name in lower case. Raises ValueError."""
    if not isinstance(value, str) or len(value) > 253:
        raise ValueError
    return _host_name(value)


@lru_cache(maxsize=1024)
def _host_name(value: str) -> str:
    """Estates name the same few domains thousands of times."""
    if not value.isascii():
        raise ValueError("write an international name in its xn-- form")
    if _HOST.fullmatch(value) is None:
        raise ValueError
    return value.lower()


def parse_wildcard_name(value: object) -> str:
    """Like a host name, but the first label may be an asterisk. Raises ValueError."""
    if isinstance(value, str) and value.startswith("*."):
        return "*." + parse_host_name(value[2:])
    return parse_host_name(value)


HOST_NAME = Scalar("host", 'a host name such as "mail.contoso.example"', parse_host_name, str, _HOST_SCHEMA)
WILDCARD_NAME = Scalar(
    "domain",
    'a domain such as "contoso.example" or "*.contoso.example"',
    parse_wildcard_name,
    str,
    _WILDCARD_SCHEMA,
)

# SMTP addresses, RFC 5321 section 4.1.2; no comments, no quoted local part (Exchange's own addresses have none).

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL_PART = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_ADDRESS_SCHEMA: Any = {"type": "string", "pattern": rf"^{_ATOM}(\.{_ATOM})*@{_LABEL}(\.{_LABEL})*$"}


def parse_smtp_address(value: object) -> str:
    """Return the address with its domain in lower case. Raises ValueError."""
    local, at, domain = value.rpartition("@") if isinstance(value, str) else ("", "", "")
    if not at or len(local) > 64 or _LOCAL_PART.fullmatch(local) is None:
        raise ValueError
    return f"{local}@{parse_host_name(domain)}"


SMTP_ADDRESS = Scalar(
    "address", 'an SMTP address such as "alice@contoso.example"', parse_smtp_address, str, _ADDRESS_SCHEMA
)

# Bindings: where a service listens.


@dataclass(frozen=True, slots=True, order=True)
class Binding:
    """A listening address: an IP address (0.0.0.0 and :: mean all) and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


_HOST_PORT = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.%A-Za-z0-9]+)\]|(?P<four>[0-9.]+)):(?P<port>[0-9]{1,5})")


def parse_binding(value: object) -> Binding:
    """Return the binding, its address in the shortest form. Raises ValueError."""
    if isinstance(value, Binding):
        return value
    match = _HOST_PORT.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(_binding_hint(value))
    return Binding(str(_address(match["six"] or match["four"])), _port(match["port"]))


def _binding_hint(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return "a port alone does not say on which address"
    is_bare = isinstance(value, str) and value.count(":") > 1 and "[" not in value
    return "an IPv6 address stands in brackets" if is_bare else ""


def _address(text: str) -> IpAddress:
    try:
        return ip_address(text)
    except ValueError:
        raise ValueError(f"{text} is not an IP address") from None


def _port(text: str) -> int:
    if 1 <= (port := int(text)) <= 65535:
        return port
    raise ValueError("a port is between 1 and 65535")


_BINDING_SCHEMA: Any = {
    "type": "string",
    "pattern": r"^\s*(\[[0-9A-Fa-f:.%A-Za-z0-9]+\]|[0-9.]+):[0-9]{1,5}\s*$",
}
BINDING = Scalar(
    "binding",
    'an address and a port such as "127.0.0.1:143" or "[::1]:143"',
    parse_binding,
    str,
    _BINDING_SCHEMA,
)

# Ranges of client addresses.


@dataclass(frozen=True, slots=True)
class IpRange:
    """All addresses from `first` to `last`, both included and of one family."""

    first: IpAddress
    last: IpAddress

    @property
    def size(self) -> int:
        """How many addresses it holds; the smaller range is the more specific one."""
        return int(self.last) - int(self.first) + 1

    def contains(self, address: str | IpAddress) -> bool:
        """True when the client address lies in the range; an IPv4 address mapped into IPv6 counts as IPv4."""
        plain = ip_address(address) if isinstance(address, str) else address
        if isinstance(plain, IPv6Address) and plain.ipv4_mapped is not None:
            plain = plain.ipv4_mapped
        return plain.version == self.first.version and int(self.first) <= int(plain) <= int(self.last)

    def __str__(self) -> str:
        if self.first == self.last:
            return str(self.first)
        bits = self.first.max_prefixlen - (self.size.bit_length() - 1)
        is_network = self.size & (self.size - 1) == 0 and int(self.first) % self.size == 0
        return f"{self.first}/{bits}" if is_network else f"{self.first}-{self.last}"


def parse_ip_range(value: object) -> IpRange:
    """Return the range that an address, a CIDR network or first-last names. Raises ValueError."""
    if isinstance(value, IpRange):
        return value
    text = value.replace(" ", "") if isinstance(value, str) else ""
    if "/" in text:
        return _network(text)
    first, dash, last = text.partition("-")
    return _between(_address(first), _address(last if dash else first))


def _network(text: str) -> IpRange:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text} is not a network") from None
    return IpRange(network[0], network[-1])


def _between(first: IpAddress, last: IpAddress) -> IpRange:
    if first.version != last.version:
        raise ValueError("both ends are of one family")
    if int(first) > int(last):
        raise ValueError("the first address is not above the last")
    return IpRange(first, last)


_RANGE_SCHEMA: Any = {
    "type": "string",
    "pattern": r"^\s*[0-9A-Fa-f:.%]+[0-9A-Za-z]*\s*([-/]\s*[0-9A-Fa-f:.]+)?\s*$",
}
IP_RANGE = Scalar(
    "range",
    'an address, a network or a range such as "192.0.2.7", "192.0.2.0/24" or "192.0.2.1-192.0.2.9"',
    parse_ip_range,
    str,
    _RANGE_SCHEMA,
)

# Connection settings: what clients are told to use.


@dataclass(frozen=True, slots=True)
class ConnectionSetting:
    """A host and port that clients are told of, and how the connection is encrypted (None: not at all)."""

    host: str
    port: int
    encryption: Literal["SSL", "TLS"] | None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" + (f":{self.encryption}" if self.encryption else "")


_SETTING = re.compile(r"(?P<host>[^:\s]+):(?P<port>[0-9]{1,5})(?::(?P<encryption>SSL|TLS)?)?", re.IGNORECASE)


def parse_connection_setting(value: object) -> ConnectionSetting:
    """Return the setting. Raises ValueError."""
    if isinstance(value, ConnectionSetting):
        return value
    match = _SETTING.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError
    encryption: Any = match["encryption"].upper() if match["encryption"] else None
    return ConnectionSetting(parse_host_name(match["host"]), _port(match["port"]), encryption)


_SETTING_SCHEMA: Any = {
    "type": "string",
    "pattern": r"^\s*[^:\s]+:[0-9]{1,5}(:([sS][sS][lL]|[tT][lL][sS])?)?\s*$",
}
CONNECTION_SETTING = Scalar(
    "connection",
    'a host, a port and an encryption such as "mail.contoso.example:993:SSL"',
    parse_connection_setting,
    str,
    _SETTING_SCHEMA,
)

HostName = Annotated[str, HOST_NAME]
WildcardName = Annotated[str, WILDCARD_NAME]
SmtpAddress = Annotated[str, SMTP_ADDRESS]
BindingValue = Annotated[Binding, BINDING]
IpRangeValue = Annotated[IpRange, IP_RANGE]
ConnectionSettingValue = Annotated[ConnectionSetting, CONNECTION_SETTING]
