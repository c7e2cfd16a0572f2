"""SASL PLAIN (RFC 4616) as the mail protocols carry it: base64 in, credentials out. Pure functions.

Strict on purpose: no padding errors are forgiven. A name that is no UTF-8 is nobody's, and an authorization
identity other than the user is refused, because opening another's mailbox is not offered: both are failed logons
that need no hash. Called by the IMAP, POP3 and SMTP services.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field

_INVALID = "The SASL response is not valid."


class SaslError(Exception):
    """The response cannot be read; the text is fit for a client and holds nothing of it."""


class IdentityError(SaslError):
    """The response reads well and opens nothing, whatever the password is: a failed logon."""


@dataclass(frozen=True, slots=True)
class PlainCredentials:
    name: str
    password: bytes = field(repr=False)


def decode_plain(response: bytes) -> PlainCredentials:
    """The credentials in a base64 PLAIN response. Raises SaslError, and IdentityError when they can be nobody's."""
    try:
        message = base64.b64decode(response, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SaslError(_INVALID) from error
    return read_plain(message)


def read_plain(message: bytes) -> PlainCredentials:
    """As `decode_plain`, for a response whose base64 is undone."""
    parts = message.split(b"\0")
    if len(parts) != 3:
        raise SaslError(_INVALID)
    identity, name, password = parts
    if identity and identity != name:
        raise IdentityError("The SASL authorization identity is not allowed.")
    return PlainCredentials(read_name(name), password)


def read_name(name: bytes) -> str:
    """A user's name as text. Raises IdentityError."""
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        raise IdentityError("The user name is not UTF-8.") from error
