"""How much of a message is looked at. Beyond a limit the rest is opaque text, never an error.

Every MIME module takes these; the store passes the defaults.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """`depth` counts nested multiparts and messages, `parts` all parts of a message.

    `header` counts the octets of one header that are read, `headers` those of all headers of a message together;
    `parameters` those of one field, `addresses` those of one address field, `languages` the tags of one
    Content-Language.
    """

    depth: int = 50
    parts: int = 1000
    header: int = 256 * 1024
    headers: int = 1024 * 1024
    parameters: int = 64
    addresses: int = 1000
    languages: int = 32


LIMITS = Limits()
