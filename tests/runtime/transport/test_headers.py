"""The header firewall: a field is known by its name, however the colon is set."""

from __future__ import annotations

import pytest

from runtime.transport.headers import ORGANIZATION_FIELDS, ROUTING_FIELDS, firewall

PREFIXES = (*ROUTING_FIELDS, ORGANIZATION_FIELDS)


@pytest.mark.parametrize(
    "field",
    [
        b"Received: from a\r\n",
        b"RECEIVED : from a\r\n\tby b\r\n",
        b"received\t: from a\r\n",
        b"Resent-From : a\r\n",
        b"X-MS-Exchange-Organization-SCL : -1\r\n",
    ],
)
def test_what_is_ours_to_set_is_removed(field: bytes) -> None:
    assert firewall(b"Subject: x\r\n" + field + b"To: y\r\n\r\n", PREFIXES) == b"Subject: x\r\nTo: y\r\n\r\n"


@pytest.mark.parametrize("field", [b"Received-SPF: pass\r\n", b"X: received : b\r\n", b"Received\r\n"])
def test_other_fields_stay(field: bytes) -> None:
    assert firewall(field + b"\r\n", PREFIXES) == field + b"\r\n"
