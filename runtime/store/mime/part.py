"""One node of a message's MIME tree, as offsets into the message.

A value: made by the parser, read by rendering and by whoever cuts sections. It holds no content.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

#: A whole message: octets in memory, or a mapped file.
Octets = bytes | mmap.mmap

#: Attribute (lower case) and value (unquoted, otherwise as it was written), in order.
Parameters = tuple[tuple[bytes, bytes], ...]

_ENCODING = re.compile(rb"[ \t]*([!#$%&'*+\-.0-9A-Za-z^_`{|}~]+)")


class Part(NamedTuple):
    """A MIME part. Offsets count octets of the whole message, not of the enclosing part.

    `data[header_start:body_start]` is the header with its blank line, `data[body_start:body_end]` the body without the
    line break that belongs to the next boundary. `type` and `subtype` are lower-case tokens; what cannot be taken apart
    (a multipart without a single part, too deep, …) is text/plain. `children` is non-empty exactly for multiparts, and
    `message` is set exactly for message/rfc822: the enclosed message, whose header starts at this part's `body_start`.
    `lines` counts the line feeds of the body (0 for a multipart, which tells none). `fields` holds the unfolded values
    of the header fields that ENVELOPE and BODYSTRUCTURE tell, by lower-case name; the first of a name.
    """

    type: str
    subtype: str
    parameters: Parameters
    header_start: int
    body_start: int
    body_end: int
    lines: int
    fields: Mapping[bytes, bytes]
    children: tuple[Part, ...] = ()
    message: Part | None = None

    @property
    def size(self) -> int:
        """Octets of the body, as BODYSTRUCTURE tells them."""
        return self.body_end - self.body_start

    @property
    def encoding(self) -> bytes:
        """Content-Transfer-Encoding in lower case; "7bit" where there is none."""
        return transfer_encoding(self.fields)


def transfer_encoding(fields: Mapping[bytes, bytes]) -> bytes:
    """The token of Content-Transfer-Encoding among a header's fields."""
    value = fields.get(b"content-transfer-encoding")
    match = _ENCODING.match(value) if value else None
    return match[1].lower() if match else b"7bit"


def section(_data: Octets, part: Part, path: Sequence[int]) -> Part | None:
    """The part that a section number of RFC 3501 6.4.5 names, or None.

    `part` is the whole message (or the `message` of a message/rfc822 part); `()` is that message itself. Part 1 of a
    message that is no multipart is the message's own body.
    """
    here, is_message = part, True
    for number in path:
        found = _step(here, number, is_message=is_message)
        if found is None:
            return None
        here, is_message = found, False
    return here


def _step(here: Part, number: int, *, is_message: bool) -> Part | None:
    if not is_message and here.message is not None:
        here, is_message = here.message, True
    if here.children:
        return here.children[number - 1] if 1 <= number <= len(here.children) else None
    return here if is_message and number == 1 else None
