"""SASL PLAIN (RFC 4616) and LOGIN, step by step, until there is a name and a password or a refusal.

It verifies nothing: the session takes the credentials to the authenticator. Secrets stay typed.
"""

from __future__ import annotations

from dataclasses import dataclass

from runtime.protocols.smtp import replies
from runtime.protocols.smtp.events import SecretBytes
from runtime.protocols.smtp.replies import Reply

MECHANISMS = frozenset({"PLAIN", "LOGIN"})


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client wants to log on with. `name` is "" when it was no text: nobody has that name."""

    name: str
    password: SecretBytes


class SaslExchange:
    """One AUTH command. Give `step` the initial response (or None), then each answer to a 334."""

    def __init__(self, mechanism: str) -> None:
        self._mechanism = mechanism
        self._name: str | None = None

    def step(self, data: SecretBytes | None) -> Reply | Credentials:
        """A 334 to send, a refusal, or the credentials."""
        if self._mechanism == "PLAIN":
            return replies.AUTH_CONTINUE if data is None else _plain(data)
        return self._login(data)

    def _login(self, data: SecretBytes | None) -> Reply | Credentials:
        if data is None:
            return replies.AUTH_USERNAME
        if self._name is None:
            self._name = _text(data.reveal())
            return replies.AUTH_PASSWORD
        return Credentials(self._name, data)


def _plain(data: SecretBytes) -> Reply | Credentials:
    """[authzid] NUL authcid NUL password. Acting for somebody else is not offered."""
    parts = data.reveal().split(b"\0")
    if len(parts) != 3:
        return replies.AUTH_BAD_BASE64
    identity, name, password = parts
    if identity and identity != name:
        return Credentials("", SecretBytes(password))
    return Credentials(_text(name), SecretBytes(password))


def _text(name: bytes) -> str:
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return ""
