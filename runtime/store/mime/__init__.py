"""MIME of stored messages: find the parts by octet offset and render what IMAP's FETCH answers.

It reads only what IMAP needs (structure, envelope), never decodes bodies or RFC 2047 words, keeps no text of its own
beside the message, and accepts any octets whatever: nothing here raises on input. The store calls it at delivery; the
IMAP and POP3 back ends call it to cut sections out of a message.

How to cut sections (RFC 3501 6.4.5), `data` being the whole message and `root = parse_message(data)`:

- `BODY[HEADER]` is `data[root.header_start:root.body_start]` (the blank line included), `BODY[TEXT]` is
  `data[root.body_start:root.body_end]`;
- `BODY[1.2]`: `p = section(data, root, (1, 2))`, then `data[p.body_start:p.body_end]`;
- `BODY[1.2.MIME]`: `data[p.header_start:p.body_start]`;
- `BODY[1.2.HEADER]` and `BODY[1.2.TEXT]` exist only where `p.message` is not None (message/rfc822): they are the header
  and body of `p.message`, cut as for the root.
"""

from runtime.store.mime.envelope import render_envelope
from runtime.store.mime.limits import LIMITS, Limits
from runtime.store.mime.parser import parse_message
from runtime.store.mime.part import Octets, Part, section
from runtime.store.mime.structure import render_bodies, render_body

__all__ = [
    "LIMITS",
    "Limits",
    "Octets",
    "Part",
    "parse_message",
    "render_bodies",
    "render_body",
    "render_envelope",
    "section",
]
