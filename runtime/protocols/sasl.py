"""SASL PLAIN (RFC 4616) as the mail protocols carry it: base64 in, credentials out. Pure functions.

Strict on purpose: no padding errors are forgiven, and an authorization identity other than the user is
refused, because opening another's mailbox is not offered. Called by the IMAP, POP3 and SMTP services.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field


class SaslError(Exception):
    """The response cannot be read; the text is fit for a client and holds nothing of it."""


@dataclass(frozen=True, slots=True)
class PlainCredentials:
    name: str
    password: bytes = field(repr=False)


def decode_plain(response: bytes) -> PlainCredentials:
    """The credentials in a base64 PLAIN response. Raises SaslError."""
    try:
        identity, name, password = base64.b64decode(response, validate=True).split(b"\0")
        user, authorized = name.decode(), identity.decode()
    except (binascii.Error, ValueError) as error:
        raise SaslError("The SASL response is not valid.") from error
    if authorized and authorized != user:
        raise SaslError("The SASL authorization identity is not allowed.")
    return PlainCredentials(user, password)
