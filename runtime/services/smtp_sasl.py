"""SASL PLAIN (RFC 4616) and LOGIN, step by step, until there is a name and a password or a refusal.

It verifies nothing: the session takes the credentials to the authenticator. Secrets stay typed.
"""

from __future__ import annotations

from dataclasses import dataclass

from runtime.protocols.sasl import IdentityError, SaslError, read_name, read_plain
from runtime.protocols.smtp import replies
from runtime.protocols.smtp.events import SecretBytes
from runtime.protocols.smtp.replies import Reply

MECHANISMS = frozenset({"PLAIN", "LOGIN"})


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client wants to log on with."""

    name: str
    password: SecretBytes


class SaslExchange:
    """One AUTH command. Give `step` the initial response (or None), then each answer to a 334."""

    def __init__(self, mechanism: str) -> None:
        self._mechanism = mechanism
        self._name: bytes | None = None

    def step(self, data: SecretBytes | None) -> Reply | Credentials:
        """A 334 to send, a refusal, or the credentials. Raises IdentityError when they can be nobody's."""
        if self._mechanism == "PLAIN":
            return replies.AUTH_CONTINUE if data is None else _plain(data)
        return self._login(data)

    def _login(self, data: SecretBytes | None) -> Reply | Credentials:
        if data is None:
            return replies.AUTH_USERNAME
        if self._name is None:
            self._name = data.reveal()
            return replies.AUTH_PASSWORD
        return Credentials(read_name(self._name), data)


def _plain(data: SecretBytes) -> Reply | Credentials:
    try:
        plain = read_plain(data.reveal())
    except IdentityError:
        raise
    except SaslError:
        return replies.AUTH_BAD_BASE64
    return Credentials(plain.name, SecretBytes(plain.password))
