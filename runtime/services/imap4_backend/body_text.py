"""The text of a message as SEARCH BODY and TEXT see it: text parts and enclosed messages, decoded.

Attachments that are no text are not searched. What cannot be decoded is searched as it stands. Called by `search`.
"""

from __future__ import annotations

import binascii
import codecs
from collections.abc import Iterator

from runtime.services.imap4_backend.envelope import decode_words
from runtime.store.mime import Part

#: Charsets in which ASCII text stands for itself, so that a search for ASCII needs no decoding.
_ASCII_COMPATIBLE = ("us-ascii", "utf-8", "iso-8859-", "windows-125", "koi8-")
#: Python codecs that are no charsets of mail, or cost more than their input's length.
_NO_CHARSETS = frozenset(("punycode", "idna", "undefined", "unicode-escape", "raw-unicode-escape", "utf-7"))
_PLAIN_ENCODINGS = (b"7bit", b"8bit", b"binary")


def holds(content: bytes, structure: Part | None, needle: str, *, is_body_only: bool) -> bool:
    """True when the body (or the header too) holds `needle`, which is case-folded."""
    root_header = content[: structure.body_start] if structure is not None else content
    if not is_body_only and needle in decode_words(_unfolded(root_header)).casefold():
        return True
    if structure is None:
        return False
    return any(_part_holds(content, part, needle) for part in _leaves(structure))


def _unfolded(header: bytes) -> bytes:
    return header.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ")


def _leaves(root: Part) -> Iterator[Part]:
    """Parts without parts, and enclosed messages as a whole (for their headers), without recursion."""
    waiting = [root]
    while waiting:
        part = waiting.pop()
        waiting += part.children
        if part.message is not None:
            yield part
            waiting.append(part.message)
        elif not part.children and part.type == "text":
            yield part


def _part_holds(content: bytes, part: Part, needle: str) -> bool:
    if part.message is not None:
        header = content[part.message.header_start : part.message.body_start]
        return needle in decode_words(_unfolded(header)).casefold()
    octets = content[part.body_start : part.body_end]
    charset = _charset(part)
    if needle.isascii() and part.encoding in _PLAIN_ENCODINGS and charset.startswith(_ASCII_COMPATIBLE):
        return needle.encode("ascii") in octets.lower()
    return needle in _text(_transfer_decoded(octets, part.encoding), charset).casefold()


def _charset(part: Part) -> str:
    value = dict(part.parameters).get(b"charset", b"us-ascii")
    return value.decode("ascii", "replace").lower().replace("_", "-")


def _transfer_decoded(octets: bytes, encoding: bytes) -> bytes:
    if encoding == b"quoted-printable":
        return binascii.a2b_qp(octets)
    if encoding != b"base64":
        return octets
    try:
        return binascii.a2b_base64(octets)
    except binascii.Error:
        return octets


def _text(octets: bytes, charset: str) -> str:
    try:
        if charset not in _NO_CHARSETS and charset != "us-ascii":
            codecs.lookup(charset)
            return octets.decode(charset, "replace")
    except (LookupError, UnicodeError, ValueError):
        return octets.decode("latin-1")
    return octets.decode("utf-8", "replace")
