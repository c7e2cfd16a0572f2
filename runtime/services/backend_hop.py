"""The first line of the hop from a front end to a back end: who is logged on, proved by a MAC.

`BACKENDAUTHENTICATE <base64url(JSON claims)>.<hex HMAC-SHA256>`: a front end has verified the password and
says so; the back end believes nobody who does not hold the backend key, no line older than a minute, no line
twice, and none that is meant for another back end. Its first reply ends with a MAC over the line's nonce, so
that the front end knows whom it talks to as well. The same line, with another verb, asks a back end to end
sessions politely. Nothing is sent or received here: `front_end` and `back_end` do that.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import itertools
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json, to_json

VERB = b"BACKENDAUTHENTICATE "
VERSION = 2
#: Longest first line, its CRLF included.
MAX_LINE = 2048
#: Seconds between signing and checking, either way (two machines' clocks may differ).
MAX_AGE = 60.0
#: Session ids that fit one drain line.
SESSIONS_PER_DRAIN = 40

#: Nonces of this process: a random beginning and a count. They need not be secret, the MAC covers them.
_PROCESS = secrets.token_hex(8)
_lines = itertools.count()


class HopError(Exception):
    """The line does not authenticate a front end; the text is for the log, never for the peer."""


@dataclass(frozen=True, slots=True)
class Logon:
    """A user whom a front end let in. `client` and `server` are "ip:port" of the client's own connection."""

    user: str
    session: str
    client: str
    server: str
    is_tls: bool


@dataclass(frozen=True, slots=True)
class Drain:
    """End these sessions politely, spread over `over` seconds."""

    sessions: tuple[str, ...]
    over: float


@dataclass(frozen=True, slots=True)
class Signed:
    """A line to send, CRLF included, and the proof with which the first reply to it must end."""

    line: bytes
    proof: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Verified:
    """What a line says, and the proof to answer it with."""

    request: Logon | Drain
    proof: bytes = field(repr=False)


class Nonces:
    """Nonces seen within MAX_AGE of now, so that a line works once. One for all generations of a back end."""

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}

    def is_new(self, nonce: str, now: float) -> bool:
        """True the first time, and remembers it."""
        self._forget(now - 2 * MAX_AGE)
        if nonce in self._seen:
            return False
        self._seen[nonce] = now
        return True

    def _forget(self, before: float) -> None:
        """The oldest come first, so this stops at the first young one."""
        while self._seen:
            oldest = next(iter(self._seen))
            if self._seen[oldest] >= before:
                return
            del self._seen[oldest]


def audience(server: str, service: str) -> str:
    """Whom a line is meant for: one service ("imap4-backend") of one server."""
    return f"{server}/{service}"


def sign_logon(key: bytes, logon: Logon, *, to: str) -> Signed:
    """The line for the back end `to` (`audience`)."""
    return _sign(
        key,
        {
            "aud": to,
            "verb": "logon",
            "user": logon.user,
            "session": logon.session,
            "client": logon.client,
            "server": logon.server,
            "tls": logon.is_tls,
        },
    )


def sign_drain(key: bytes, drain: Drain, *, to: str) -> Signed:
    """The line for the back end `to`. At most SESSIONS_PER_DRAIN sessions fit."""
    return _sign(key, {"aud": to, "verb": "drain", "sessions": list(drain.sessions), "over": drain.over})


def verify(key: bytes, line: bytes, nonces: Nonces, *, me: str, now: float | None = None) -> Verified:
    """What the line (without CRLF) says to `me` (`audience`), once its MAC, receiver, age and nonce are right. Raises
    HopError."""
    moment = time.time() if now is None else now
    claims = _authentic_claims(key, line)
    if claims.get("aud") != me:
        raise HopError(f"the line is meant for another than {me}")
    nonce = _fresh_nonce(claims, nonces, moment)
    try:
        return Verified(_request(claims), _proof(key, nonce))
    except (KeyError, TypeError, ValueError) as error:
        raise HopError(f"claims are incomplete: {error!r}") from error


def is_proven(answer: bytes, signed: Signed) -> bool:
    """True when the first line of an answer comes from a holder of the key who has read `signed`."""
    return hmac.compare_digest(answer.rpartition(b" ")[2], signed.proof)


def _sign(key: bytes, claims: Mapping[str, object]) -> Signed:
    nonce = f"{_PROCESS}{next(_lines):08x}"
    stamped = {"v": VERSION, **claims, "iat": time.time(), "nonce": nonce}
    text = base64.urlsafe_b64encode(to_json(stamped))
    return Signed(VERB + text + b"." + _mac(key, text) + b"\r\n", _proof(key, nonce))


def _proof(key: bytes, nonce: str) -> bytes:
    """No line can be taken for it, nor it for a line: base64 has no space."""
    return _mac(key, b"answer " + nonce.encode())


def _mac(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, hashlib.sha256).hex().encode()


def _authentic_claims(key: bytes, line: bytes) -> Mapping[str, Any]:
    if not line.startswith(VERB) or len(line) > MAX_LINE:
        raise HopError("the first line is not BACKENDAUTHENTICATE")
    text, dot, mac = line.removeprefix(VERB).rpartition(b".")
    if not dot or not hmac.compare_digest(_mac(key, text), mac):
        raise HopError("the MAC is wrong: the front end does not hold this runtime's backend key")
    try:
        claims = from_json(base64.urlsafe_b64decode(text))
    except (binascii.Error, ValueError) as error:
        raise HopError(f"claims cannot be read: {error}") from error
    if not isinstance(claims, dict) or claims.get("v") != VERSION:
        raise HopError(f"claims are not of version {VERSION}")
    return claims


def _fresh_nonce(claims: Mapping[str, Any], nonces: Nonces, now: float) -> str:
    issued, nonce = claims.get("iat"), claims.get("nonce")
    if not isinstance(issued, float | int) or abs(now - issued) > MAX_AGE:
        raise HopError("the line is too old, or from the future: compare the machines' clocks")
    if not isinstance(nonce, str) or not nonces.is_new(nonce, now):
        raise HopError("the line was used before")
    return nonce


def _request(claims: Mapping[str, Any]) -> Logon | Drain:
    if claims["verb"] == "logon":
        return Logon(
            user=str(claims["user"]),
            session=str(claims["session"]),
            client=str(claims["client"]),
            server=str(claims["server"]),
            is_tls=claims["tls"] is True,
        )
    if claims["verb"] == "drain":
        return Drain(
            sessions=tuple(str(session) for session in claims["sessions"]), over=float(claims["over"])
        )
    raise ValueError(f"verb {claims['verb']!r}")
