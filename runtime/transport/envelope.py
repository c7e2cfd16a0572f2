"""Who sends a message to whom, and through which session it came: the value that travels with every message.

Made by the SMTP services at MAIL and RCPT, carried over the internal hop, kept in the queue. All text in it
has passed SMTP's grammar. It holds no content.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass, replace
from functools import lru_cache


class EnvelopeError(ValueError):
    """The text is no origin or envelope of ours."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The session that a message came through. `session` is 16 hex digits made where the client connected; `client` is
    its address; `user` the Mailbox that logged on, or ""; `connector` the Receive connector's name."""

    session: str
    client: str
    hello: str
    user: str
    connector: str
    is_tls: bool

    def encode(self) -> str:
        """As one word of base64, for the private verb of the internal hop."""
        return _encoded(self)

    def fields(self) -> dict[str, str | bool]:
        """As JSON takes it."""
        return {
            "session": self.session,
            "client": self.client,
            "hello": self.hello,
            "user": self.user,
            "connector": self.connector,
            "is_tls": self.is_tls,
        }

    @classmethod
    def decode(cls, text: str) -> Origin:
        """Raises EnvelopeError."""
        return _decoded(text)

    @classmethod
    def from_fields(cls, fields: object) -> Origin:
        """Raises EnvelopeError unless `fields` are exactly an origin's."""
        names = ("session", "client", "hello", "user", "connector")
        if not isinstance(fields, dict) or set(fields) != {*names, "is_tls"}:
            raise EnvelopeError("the origin has not the fields of an origin")
        if not all(isinstance(fields[name], str) for name in names):
            raise EnvelopeError("the origin's fields must be text")
        return cls(**{name: fields[name] for name in names}, is_tls=fields["is_tls"] is True)


# A session sends many messages, and its origin is the same for all of them.


@lru_cache(maxsize=1024)
def _encoded(origin: Origin) -> str:
    return base64.b64encode(json.dumps(origin.fields(), separators=(",", ":")).encode()).decode("ascii")


@lru_cache(maxsize=1024)
def _decoded(text: str) -> Origin:
    try:
        return Origin.from_fields(json.loads(base64.b64decode(text, validate=True)))
    except (binascii.Error, ValueError) as error:
        raise EnvelopeError("the origin cannot be read") from error


_SUBMISSION = re.compile(r"[0-9a-f]{1,64}")


def is_submission(text: str) -> bool:
    """Whether the text may be the id of a submission."""
    return _SUBMISSION.fullmatch(text) is not None


#: What this server itself sends: reports.
OWN_ORIGIN = Origin(session="", client="", hello="", user="", connector="", is_tls=False)


@dataclass(frozen=True, slots=True)
class Envelope:
    """`sender` is "" for the null reverse-path. `accepted` is Unix time, from which a message's age counts.
    `submission` names one hand-in for ever, "" when nobody will repeat it: a queue takes each but once."""

    sender: str
    recipients: tuple[str, ...]
    origin: Origin
    accepted: float
    submission: str = ""

    def fields(self) -> dict[str, object]:
        """As JSON takes it."""
        return {
            "sender": self.sender,
            "recipients": self.recipients,
            "origin": self.origin.fields(),
            "accepted": self.accepted,
            "submission": self.submission,
        }

    def without(self, recipients: frozenset[str]) -> Envelope:
        """The envelope that is left when these recipients are done with."""
        return replace(self, recipients=tuple(one for one in self.recipients if one not in recipients))
