"""Modified UTF-7 of mailbox names (RFC 3501 section 5.1.3), strict in both directions.

Every name has exactly one encoding here: what could be written in another way is refused, so that two spellings can
never mean one folder. Called by `values`.
"""

from __future__ import annotations

import binascii
import re

from runtime.protocols.imap4.grammar import GrammarError

_SHIFTED = re.compile(rb"&([^-]*)(-?)")
_DIRECT = re.compile(r"[\x20-\x25\x27-\x7e]+|&|[^\x20-\x7e]+")


def decode(name: bytes) -> str:
    """The Unicode text of an encoded name. Raises `GrammarError` with the reason."""
    if not all(0x20 <= octet <= 0x7E for octet in name):
        raise GrammarError("expected a mailbox name in modified UTF-7, found 8-bit or control characters")
    pieces: list[str] = []
    position = 0
    was_shifted = False
    for match in _SHIFTED.finditer(name):
        plain = name[position : match.start()]
        if was_shifted and not plain and match[1]:
            raise GrammarError("modified UTF-7 has two adjacent shifted runs")
        pieces += (plain.decode("ascii"), _decode_run(match[1], is_closed=bool(match[2])))
        position, was_shifted = match.end(), bool(match[1])
    pieces.append(name[position:].decode("ascii"))
    return "".join(pieces)


def _decode_run(run: bytes, *, is_closed: bool) -> str:
    if not is_closed:
        raise GrammarError("modified UTF-7 run is not closed by '-'")
    if not run:
        return "&"
    text = _utf16(run)
    if any(" " <= char <= "~" for char in text):
        raise GrammarError("modified UTF-7 encodes a character that stands for itself")
    if encode(text) != b"&" + run + b"-":
        raise GrammarError("modified UTF-7 run has superfluous bits")
    return text


def _utf16(run: bytes) -> str:
    try:
        padded = run.replace(b",", b"/") + b"=" * (-len(run) % 4)
        return binascii.a2b_base64(padded, strict_mode=True).decode("utf-16-be")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise GrammarError("modified UTF-7 run is not base64 of UTF-16") from error


def encode(name: str) -> bytes:
    """The one encoding of a name. Raises `GrammarError` for lone surrogates."""
    return b"".join(_encode_piece(piece) for piece in _DIRECT.findall(name))


def _encode_piece(piece: str) -> bytes:
    if piece == "&":
        return b"&-"
    if " " <= piece[0] <= "~":
        return piece.encode("ascii")
    try:
        octets = piece.encode("utf-16-be")
    except UnicodeEncodeError as error:
        raise GrammarError("mailbox name holds a lone surrogate") from error
    return b"&" + binascii.b2a_base64(octets, newline=False).rstrip(b"=").replace(b"/", b",") + b"-"
