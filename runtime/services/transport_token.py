"""The proof with which one of our own services introduces itself to a transport service.

It is a line of `backend_hop` that names, instead of a mailbox, a user that no mailbox can be: a token for a
mailbox never opens transport, and a token for transport never opens a mailbox. Used by the two ends of the
internal hop.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from runtime.services.backend_hop import HopError, Logon, Nonces, audience, sign_logon, verify

#: The verb of the line, as the SMTP core sees it.
VERB = "BACKENDAUTHENTICATE"
_USER = "*transport"


def introduction(key: bytes, fqdn: str, receiver: str) -> Callable[[], bytes]:
    """Makes a fresh first line each time; `fqdn` is the server that speaks, `receiver` the name of the server whose
    transport may believe it."""
    to = audience(receiver, "transport")

    def line() -> bytes:
        return sign_logon(key, Logon(_USER, secrets.token_hex(8), "", fqdn, is_tls=False), to=to).line

    return line


def sender_of(key: bytes, argument: str, nonces: Nonces, *, receiver: str) -> str:
    """The fully qualified name of the server that introduced itself to server `receiver`. Raises HopError."""
    line = f"{VERB} {argument}".encode("ascii")
    claims = verify(key, line, nonces, me=audience(receiver, "transport")).request
    if not isinstance(claims, Logon) or claims.user != _USER:
        raise HopError("the token is not one for transport")
    return claims.server
