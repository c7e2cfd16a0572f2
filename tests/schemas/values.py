"""Values that are right, nearly right and wrong, for any field of any kind."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

NUMBERS = [
    -1,
    0,
    1,
    5,
    9,
    10,
    11,
    25,
    39,
    40,
    45,
    100,
    101,
    256,
    500,
    1023,
    1024,
    1025,
    10000,
    10001,
    65535,
    65536,
]
LARGE = [2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 1.5]
SIZES = [
    "36MB",
    "36 MB",
    "36 MiB",
    "1.5GB",
    "0.3B",
    "1.0001KB",
    " 5 KB ",
    "9999999TB",
    "8388607TB",
    "0B",
    "36 mb (37 bytes)",
]
DURATIONS = [
    "00:30:00",
    "24:00:00",
    "23:59:59",
    "1.00:00:00",
    "00:60:00",
    "30s",
    "1h30m",
    "30m1h",
    "1 h 5 m",
    "0s",
    "3650d",
    "1 0s",
]
NAMES = [
    "",
    "a",
    "5",
    "yes",
    "a.example",
    "a..example",
    "-a.example",
    "*.example",
    "*.*.example",
    "a_b.example",
    "ex01",
    "ab/cd",
]
ADDRESSES = [
    "a@b",
    "a@b.example",
    "A.b@C.example",
    "a@@b.example",
    "SMTP:a@b.example",
    "smtp:alice@contoso.example",
    "x500:/o=a",
]
NETWORK = [
    "127.0.0.1:993",
    "127.0.0.1:0",
    "127.0.0.1:65536",
    "[::1]:993",
    "::1:993",
    "localhost:25",
    "192.0.2.0/24",
    "192.0.2.0/33",
    "192.0.2.9-192.0.2.1",
    "::1-::9",
    "300.0.0.1:25",
    "a.example:993:SSL",
    "a.example:99999:TLS",
    "a.example:993:none",
]
WORDS = [
    "Unlimited",
    "unlimited",
    "None",
    "IMAP",
    "Tls",
    "BasicAuth",
    "BasicAuthRequireTLS",
    "ExternalAuthoritative",
    "SecureLogin",
    "Custom",
    "HubTransport",
    "Internet",
    "AnonymousUsers",
    "ms-Exch-SMTP-Submit",
    "ExchangeServers",
    "Authoritative",
    "220 hi",
    "two\nlines",
    "é",
    "https://a.example/owa",
    "http://a",
    "a.example:AcceptCloudServicesMail",
]
GROUPS: list[Any] = [
    {},
    {"a": 1},
    {"env": "A"},
    {"secretRef": {"env": "A"}},
    {"secretRef": {"file": ""}},
    {"secretRef": {"env": "A", "file": "b"}},
    {"startupType": "Manual"},
    {"validDays": 0},
    {"keyType": "RSA-2048"},
    {"subjectAlternativeNames": ["*.a.example"]},
    {"anonymousLogon": ["ms-Exch-SMTP-Accept-Any-Recipient"]},
    {"authenticatedUsers": ["ms-Exch-SMTP-Accept-Authoritative-Domain"]},
]
TEXTS = [*SIZES, *DURATIONS, *NAMES, *ADDRESSES, *NETWORK, *WORDS]
SCALARS = st.sampled_from([None, True, False, *NUMBERS, *LARGE, *TEXTS])
VALUES_OF_ANY_KIND = st.one_of(SCALARS, st.integers(), st.lists(SCALARS, max_size=3), st.sampled_from(GROUPS))


def put(spec: dict[str, Any], path: str, value: Any) -> None:
    """Give one field of a spec, by its path, this value."""
    *groups, name = path.split(".")
    for group in groups:
        inner = spec.get(group)
        spec[group] = spec = inner if isinstance(inner, dict) else {}
    spec[name] = value
